package page

import (
	"errors"
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"strings"

	"github.com/signalbox/signalbox/internal/kind"
)

// Where PagerDuty takes events, and where its REST API is. Accounts in the EU
// service region use https://events.eu.pagerduty.com and
// https://api.eu.pagerduty.com.
const (
	DefaultURL    = "https://events.pagerduty.com"
	DefaultAPIURL = "https://api.pagerduty.com"
)

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

// Settings is how an owner is reached through PagerDuty: by the routing key of
// a service, or by an incident on an escalation policy.
type Settings struct {
	// File that holds the routing key (integration key) of the owner's Events API v2 integration; read at each use.
	PrimaryKeyFile string `yaml:"primary_key_file" json:"primary_key_file,omitempty"`
	// Environment variable that holds the routing key.
	PrimaryKeyEnv string `yaml:"primary_key_env" json:"primary_key_env,omitempty"`
	// File that holds the routing key of the owner's backup, who is paged when the primary does not acknowledge; read at each use.
	BackupKeyFile string `yaml:"backup_key_file" json:"backup_key_file,omitempty"`
	// Environment variable that holds the backup's routing key.
	BackupKeyEnv string `yaml:"backup_key_env" json:"backup_key_env,omitempty"`
	// Where events are sent, if not https://events.pagerduty.com. Plain http is for this machine only.
	URL string `yaml:"url" json:"url,omitempty" jsonschema:"format=uri"`

	// Instead of a routing key: the id of the service on which an incident is opened through the REST API.
	Service string `yaml:"service" json:"service,omitempty"`
	// The id of the escalation policy that such an incident is given. PagerDuty escalates by it.
	EscalationPolicy string `yaml:"escalation_policy" json:"escalation_policy,omitempty"`
	// E-mail address of the PagerDuty user in whose name the REST API is used.
	From string `yaml:"from" json:"from,omitempty" jsonschema:"format=email"`
	// File that holds a key of the REST API; read at each use. With it notes, status updates and requests for responders are sent, and acknowledgements are read.
	APIKeyFile string `yaml:"api_key_file" json:"api_key_file,omitempty"`
	// Environment variable that holds the key of the REST API.
	APIKeyEnv string `yaml:"api_key_env" json:"api_key_env,omitempty"`
	// Where the REST API is, if not https://api.pagerduty.com. Plain http is for this machine only.
	APIURL string `yaml:"api_url" json:"api_url,omitempty" jsonschema:"format=uri"`
	// Who is asked to help with an incident. The account must have the ability to request responders.
	Responders []Responder `yaml:"responders" json:"responders,omitempty"`
	// The id of the PagerDuty user in whose name responders are asked.
	Requester string `yaml:"requester" json:"requester,omitempty"`
}

// Responder is one who is asked to help: a user or an escalation policy.
type Responder struct {
	// The id of a user.
	User string `yaml:"user" json:"user,omitempty"`
	// The id of an escalation policy.
	EscalationPolicy string `yaml:"escalation_policy" json:"escalation_policy,omitempty"`
}

// Escalates reports whether PagerDuty goes on to others by a policy that the
// settings name.
func (s *Settings) Escalates() bool { return s.EscalationPolicy != "" }

func (s *Settings) rest() bool   { return s.Service != "" || s.EscalationPolicy != "" }
func (s *Settings) backup() bool { return s.BackupKeyFile != "" || s.BackupKeyEnv != "" }
func (s *Settings) api() bool    { return s.APIKeyFile != "" || s.APIKeyEnv != "" }

// hidden stands where a value may be a secret.
const hidden = "(not shown: it may hold a credential)"

// Validate checks the settings.
func (s *Settings) Validate(fail kind.Fail) {
	s.validateWay(fail)
	s.validateBackup(fail)
	s.validateAPI(fail)
	for key, name := range map[string]string{"primary_key_env": s.PrimaryKeyEnv, "backup_key_env": s.BackupKeyEnv, "api_key_env": s.APIKeyEnv} {
		if strings.ContainsAny(name, "= \x00") {
			fail(key, "must be the name of an environment variable", "(not shown: it may be the key itself)")
		}
	}
	for key, text := range map[string]string{"url": s.URL, "api_url": s.APIURL} {
		if text == "" {
			continue
		}
		if err := checkURL(text); err != nil {
			fail(key, err.Error(), hidden)
		}
	}
}

// validateWay asks for exactly one way to page: a routing key, or an incident
// on an escalation policy.
func (s *Settings) validateWay(fail kind.Fail) {
	keys := s.PrimaryKeyFile != "" || s.PrimaryKeyEnv != ""
	switch {
	case s.rest() && keys:
		fail("service", "service and escalation_policy must not be given together with a routing key: a page goes one way", s.Service)
	case s.rest():
		validateID(fail, "service", s.Service)
		validateID(fail, "escalation_policy", s.EscalationPolicy)
	case (s.PrimaryKeyFile == "") == (s.PrimaryKeyEnv == ""):
		fail("primary_key_file", "exactly one of primary_key_file, primary_key_env, and service with escalation_policy must be given", s.PrimaryKeyFile)
	}
}

func (s *Settings) validateBackup(fail kind.Fail) {
	switch {
	case s.BackupKeyFile != "" && s.BackupKeyEnv != "":
		fail("backup_key_file", "at most one of backup_key_file and backup_key_env may be given", s.BackupKeyFile)
	case s.backup() && s.rest():
		fail("backup_key_file", "must not be given together with escalation_policy: either PagerDuty escalates or the daemon does", s.BackupKeyFile)
	case s.BackupKeyFile != "" && s.BackupKeyFile == s.PrimaryKeyFile:
		fail("backup_key_file", "must be another than primary_key_file: the same key pages the same person", s.BackupKeyFile)
	case s.BackupKeyEnv != "" && s.BackupKeyEnv == s.PrimaryKeyEnv:
		fail("backup_key_env", "must be another than primary_key_env: the same key pages the same person", nil)
	}
}

func (s *Settings) validateAPI(fail kind.Fail) {
	if s.APIKeyFile != "" && s.APIKeyEnv != "" {
		fail("api_key_file", "at most one of api_key_file and api_key_env may be given", s.APIKeyFile)
	}
	if !s.api() {
		for key, given := range map[string]bool{
			"service": s.rest(), "from": s.From != "", "api_url": s.APIURL != "", "responders": len(s.Responders) > 0, "requester": s.Requester != "",
		} {
			if given {
				fail(key, "needs api_key_file or api_key_env", nil)
			}
		}
		return
	}
	if a, err := mail.ParseAddress(s.From); err != nil || a.Address != s.From {
		fail("from", "must be the e-mail address of a PagerDuty user: the REST API changes nothing without one", s.From)
	}
	if (len(s.Responders) > 0) != (s.Requester != "") {
		fail("requester", "must be given together with responders", s.Requester)
	}
	if s.Requester != "" {
		validateID(fail, "requester", s.Requester)
	}
	for i, r := range s.Responders {
		path := pathOf("responders", i)
		if (r.User == "") == (r.EscalationPolicy == "") {
			fail(path, "must have exactly one of user and escalation_policy", nil)
			continue
		}
		validateID(fail, path, r.User+r.EscalationPolicy)
	}
}

var pagerDutyID = regexp.MustCompile(`^[A-Za-z0-9]{1,40}$`)

func validateID(fail kind.Fail, key, id string) {
	if !pagerDutyID.MatchString(id) {
		fail(key, "must be an id of PagerDuty, like PIJ90N7", id)
	}
}

// checkURL refuses what would carry a key over a network in the clear, or to a
// place that is not plainly named.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("must be an https URL with a host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must not have a credential, a query or a fragment")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return errors.New("must be https: plain http would show the key, and is accepted for this machine only")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
