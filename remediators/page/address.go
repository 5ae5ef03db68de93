package page

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// address is Step.Spec: where one rung of an owner is reached. It holds no
// secret.
type address struct {
	URL     string `json:"url,omitempty"`
	KeyFile string `json:"key_file,omitempty"` // absolute
	KeyEnv  string `json:"key_env,omitempty"`
	API     *api   `json:"api,omitempty"` // nil: the REST API is not used
}

// api is how the REST API is reached. With a Service, pages are incidents on
// it; without, they are events, and the API is for what is told besides.
type api struct {
	URL              string      `json:"url"`
	KeyFile          string      `json:"key_file,omitempty"` // absolute
	KeyEnv           string      `json:"key_env,omitempty"`
	From             string      `json:"from"`
	Service          string      `json:"service,omitempty"`
	EscalationPolicy string      `json:"escalation_policy,omitempty"`
	Requester        string      `json:"requester,omitempty"`
	Responders       []Responder `json:"responders,omitempty"`
}

// spec writes the address of one rung. A rung that the owner does not have has
// none.
func spec(in kind.SpecInput) (json.RawMessage, error) {
	s, ok := in.Settings.(*Settings)
	if !ok {
		return nil, fmt.Errorf("owner %q: must be reached by pagerduty", in.Name)
	}
	var a address
	switch {
	case in.Rung == signalbox.BackupRung && s.backup():
		a.KeyFile, a.KeyEnv = s.BackupKeyFile, s.BackupKeyEnv
	case in.Rung != signalbox.PrimaryRung:
		return nil, nil
	default:
		a.KeyFile, a.KeyEnv = s.PrimaryKeyFile, s.PrimaryKeyEnv
	}
	if !s.rest() {
		a.URL = base(s.URL, DefaultURL)
	}
	if s.api() {
		a.API = &api{
			URL: base(s.APIURL, DefaultAPIURL), KeyFile: s.APIKeyFile, KeyEnv: s.APIKeyEnv, From: s.From,
			Service: s.Service, EscalationPolicy: s.EscalationPolicy, Requester: s.Requester, Responders: s.Responders,
		}
		if err := absolute(&a.API.KeyFile, in.ConfigDir); err != nil {
			return nil, fmt.Errorf("owner %q: api_key_file: %w", in.Name, err)
		}
	}
	if err := absolute(&a.KeyFile, in.ConfigDir); err != nil {
		return nil, fmt.Errorf("owner %q: key file: %w", in.Name, err)
	}
	return json.Marshal(a)
}

func base(given, otherwise string) string {
	if given == "" {
		return otherwise
	}
	return strings.TrimRight(given, "/")
}

// absolute makes a path begin at the configuration's directory.
func absolute(path *string, dir string) error {
	if *path == "" || filepath.IsAbs(*path) {
		return nil
	}
	whole, err := filepath.Abs(filepath.Join(dir, *path))
	if err == nil {
		*path = whole
	}
	return err
}

// byIncident reports whether pages are incidents of the REST API.
func (a *address) byIncident() bool { return a.API != nil && a.API.Service != "" }

// parseAddress reads a Spec, which may be of another version of the daemon.
func parseAddress(spec json.RawMessage) (address, error) {
	var a address
	dec := json.NewDecoder(bytes.NewReader(spec))
	if err := dec.Decode(&a); err != nil {
		return a, errors.New("the owner's address is not what this version writes")
	}
	if a.API != nil {
		if err := a.API.check(); err != nil {
			return a, err
		}
	}
	if a.byIncident() {
		return a, nil
	}
	if (a.KeyFile == "") == (a.KeyEnv == "") || a.KeyFile != "" && !filepath.IsAbs(a.KeyFile) {
		return a, errors.New("the owner's address must name one absolute key_file or one key_env")
	}
	if err := checkURL(a.URL); err != nil {
		return a, fmt.Errorf("the owner's url %w", err)
	}
	return a, nil
}

func (p *api) check() error {
	if (p.KeyFile == "") == (p.KeyEnv == "") || p.KeyFile != "" && !filepath.IsAbs(p.KeyFile) {
		return errors.New("the owner's address must name one absolute api key_file or one api key_env")
	}
	if p.From == "" || (p.Service == "") != (p.EscalationPolicy == "") {
		return errors.New("the owner's address must name from, and service together with escalation_policy")
	}
	if err := checkURL(p.URL); err != nil {
		return fmt.Errorf("the owner's api_url %w", err)
	}
	return nil
}

func (a *address) key() (string, error) { return secret("routing key", a.KeyFile, a.KeyEnv) }
func (p *api) key() (string, error)     { return secret("api key", p.KeyFile, p.KeyEnv) }

// readable reports whether the key with which pages are sent can be read.
func (a *address) readable() error {
	read := a.key
	if a.byIncident() {
		read = a.API.key
	}
	_, err := read()
	return err
}

// secret reads a key. An error names the place and nothing of the key.
func secret(what, file, env string) (string, error) {
	place, text := file, ""
	if env != "" {
		place, text = "environment variable "+env, os.Getenv(env)
	} else {
		b, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("%s: %w", what, err)
		}
		text = string(b)
	}
	text = strings.TrimSpace(text)
	odd := strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' })
	if text == "" || len(text) > 128 || odd {
		return "", fmt.Errorf("%s: %s must hold one word of at most 128 characters", what, place)
	}
	return text, nil
}

func pathOf(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }
