package page

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/signalbox/signalbox/internal/kind"
)

// DefaultURL is where PagerDuty takes events; accounts in the EU service
// region use https://events.eu.pagerduty.com.
const DefaultURL = "https://events.pagerduty.com"

// Kind is the line of the table of remediators.
func Kind() kind.Remediator {
	return kind.Remediator{
		Name:    "page",
		Keyword: "page",
		Owner:   map[string]func() kind.Settings{"pagerduty": func() kind.Settings { return &Settings{} }},
		Spec:    spec,
		Open:    open,
	}
}

// Settings is how an owner is reached through PagerDuty.
type Settings struct {
	// File that holds the routing key (integration key) of the owner's Events API v2 integration; read at each use.
	PrimaryKeyFile string `yaml:"primary_key_file" json:"primary_key_file,omitempty"`
	// Environment variable that holds the routing key.
	PrimaryKeyEnv string `yaml:"primary_key_env" json:"primary_key_env,omitempty"`
	// Where events are sent, if not https://events.pagerduty.com. Plain http is for this machine only.
	URL string `yaml:"url" json:"url,omitempty" jsonschema:"format=uri"`
}

// Validate checks the settings.
func (s *Settings) Validate(fail kind.Fail) {
	if (s.PrimaryKeyFile == "") == (s.PrimaryKeyEnv == "") {
		fail("primary_key_file", "exactly one of primary_key_file and primary_key_env must be given", s.PrimaryKeyFile)
	}
	if strings.ContainsAny(s.PrimaryKeyEnv, "= \x00") {
		fail("primary_key_env", "must be the name of an environment variable", "(not shown: it may be the key itself)")
	}
	if s.URL != "" {
		if err := checkURL(s.URL); err != nil {
			fail("url", err.Error(), "(not shown: it may hold a credential)")
		}
	}
}

// checkURL refuses what would carry the routing key over a network in the
// clear, or to a place that is not plainly named.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("must be an https URL with a host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must not have a credential, a query or a fragment")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return errors.New("must be https: plain http would show the routing key, and is accepted for this machine only")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// address is Step.Spec: where an owner is reached. It holds no secret.
type address struct {
	URL     string `json:"url"`
	KeyFile string `json:"key_file,omitempty"` // absolute
	KeyEnv  string `json:"key_env,omitempty"`
}

func spec(in kind.SpecInput) (json.RawMessage, error) {
	s, ok := in.Settings.(*Settings)
	if !ok {
		return nil, fmt.Errorf("owner %q: must be reached by pagerduty", in.Name)
	}
	a := address{URL: DefaultURL, KeyEnv: s.PrimaryKeyEnv, KeyFile: s.PrimaryKeyFile}
	if s.URL != "" {
		a.URL = strings.TrimRight(s.URL, "/")
	}
	if a.KeyFile != "" && !filepath.IsAbs(a.KeyFile) {
		whole, err := filepath.Abs(filepath.Join(in.ConfigDir, a.KeyFile))
		if err != nil {
			return nil, fmt.Errorf("owner %q: primary_key_file: %w", in.Name, err)
		}
		a.KeyFile = whole
	}
	return json.Marshal(a)
}

// parseAddress reads a Spec, which may be of another version of the daemon.
func parseAddress(spec json.RawMessage) (address, error) {
	var a address
	dec := json.NewDecoder(bytes.NewReader(spec))
	if err := dec.Decode(&a); err != nil {
		return a, errors.New("the owner's address is not what this version writes")
	}
	if (a.KeyFile == "") == (a.KeyEnv == "") || a.KeyFile != "" && !filepath.IsAbs(a.KeyFile) {
		return a, errors.New("the owner's address must name one absolute key_file or one key_env")
	}
	if err := checkURL(a.URL); err != nil {
		return a, fmt.Errorf("the owner's url %w", err)
	}
	return a, nil
}

// key reads the routing key. An error names the place and nothing of the key.
func (a address) key() (string, error) {
	place, text := a.KeyFile, ""
	if a.KeyEnv != "" {
		place, text = "environment variable "+a.KeyEnv, os.Getenv(a.KeyEnv)
	} else {
		b, err := os.ReadFile(a.KeyFile)
		if err != nil {
			return "", fmt.Errorf("routing key: %w", err)
		}
		text = string(b)
	}
	text = strings.TrimSpace(text)
	odd := strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' })
	if text == "" || len(text) > 128 || odd {
		return "", fmt.Errorf("routing key: %s must hold one word of at most 128 characters", place)
	}
	return text, nil
}
