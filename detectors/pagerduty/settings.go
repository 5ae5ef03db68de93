package pagerduty

import (
	"errors"
	"os"
	"strings"

	"github.com/signalbox/signalbox/internal/alerts"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// Kind is the line of the table of sources.
func Kind() kind.Source {
	return kind.Source{
		Name:     "pagerduty",
		Settings: func() kind.Settings { return &Settings{} },
		Open:     open,
		Receives: func(s kind.Settings) string { return s.(*Settings).Receive },
		Door:     func(kind.Settings) *kind.Door { return &kind.Door{Signed: true} },
	}
}

// Settings is what the configuration says to a source of this kind.
type Settings struct {
	// Path at which PagerDuty posts its webhooks, below /webhooks/.
	Receive string `yaml:"receive" json:"receive" jsonschema:"required,pattern=^/webhooks/[A-Za-z0-9._~/-]+$"`
	// File that holds the secrets of webhook subscriptions, one a line, so that there can be two while one is replaced; read at each use.
	SecretFile string `yaml:"secret_file" json:"secret_file,omitempty"`
	// Environment variable that holds the secrets, one a line.
	SecretEnv string `yaml:"secret_env" json:"secret_env,omitempty"`
}

// Validate checks the settings.
func (s *Settings) Validate(fail kind.Fail) {
	alerts.ValidatePath(fail, "receive", s.Receive)
	if (s.SecretFile == "") == (s.SecretEnv == "") {
		fail("secret_file", "exactly one of secret_file and secret_env must be given: anybody could acknowledge pages otherwise", s.SecretFile)
	}
	if strings.ContainsAny(s.SecretEnv, "= \x00") {
		fail("secret_env", "must be the name of an environment variable", "(not shown: it may be the secret itself)")
	}
}

// secrets reads what signs. Its errors name the place and nothing of it.
func (s *Settings) secrets(dir string) func() ([]string, error) {
	file := httpclient.In(alerts.Absolute(dir), s.SecretFile)
	return func() ([]string, error) {
		text := os.Getenv(s.SecretEnv)
		if s.SecretEnv == "" {
			b, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			text = string(b)
		}
		if all := strings.Fields(text); len(all) > 0 {
			return all, nil
		}
		return nil, errors.New("there is no secret")
	}
}
