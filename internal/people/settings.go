// Package people knows who asks and what they may do.
//
//	Settings  what the configuration says of one person
//	People    all of them, behind the port through which other ways to sign in come
//	Person    who a request is of, with rights
//
// A person is known by a bearer token, by the name in a client certificate that
// the server verified, or as a user of the server's web configuration. One
// credential is one person's. Tokens are read at each use, so that a rotated one
// counts at once; no error and no log line holds one.
package people

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signalbox/signalbox/internal/kind"
)

// Verb is something that a person may do.
type Verb string

// The verbs.
const (
	View    Verb = "view"    // status, incidents, policies, approvals
	Control Verb = "control" // pause, resume, take, release, undo, acknowledge, eta, restore
	Kill    Verb = "kill"    // the kill switch, and to lift it
	Approve Verb = "approve" // and deny
	Reload  Verb = "reload"  // the configuration
	Store   Verb = "store"   // a backup of the store, and the confirmation of one that was restored
)

var verbs = []Verb{View, Control, Kill, Approve, Reload, Store}

// Verbs are all of them.
func Verbs() []Verb { return slices.Clone(verbs) }

// Right is what a person may do, and on what.
type Right struct {
	// What may be done: view, control, kill, approve, reload, store.
	Do []Verb `yaml:"do" json:"do" jsonschema:"required"`
	// On what: all, policy/NAME, owner/NAME or target/TARGET, where * stands for any text; absent: all.
	On []string `yaml:"on" json:"on,omitempty"`
}

// Settings is what the configuration says of one person.
type Settings struct {
	// File that holds the person's bearer token, of at least 16 characters; read at each use.
	TokenFile string `yaml:"token_file" json:"token_file,omitempty"`
	// Environment variable that holds the token.
	TokenEnv string `yaml:"token_env" json:"token_env,omitempty"`
	// Names in verified client certificates: the common name, or a DNS name, e-mail address or URI.
	ClientNames []string `yaml:"client_names" json:"client_names,omitempty"`
	// The user of the web configuration's basic_auth_users.
	User string `yaml:"user" json:"user,omitempty"`
	// What the person may do.
	May []Right `yaml:"may" json:"may" jsonschema:"required"`
}

// Validate checks the settings.
func (s *Settings) Validate(fail kind.Fail) {
	if s.TokenFile != "" && s.TokenEnv != "" {
		fail("token_file", "token_file and token_env must not both be given", nil)
	}
	if s.TokenFile == "" && s.TokenEnv == "" && len(s.ClientNames) == 0 && s.User == "" {
		fail("", "must have a way to be known: token_file, token_env, client_names or user", nil)
	}
	for i, r := range s.May {
		if len(r.Do) == 0 {
			fail(fmt.Sprintf("may[%d].do", i), "must name at least one of "+list(), nil)
		}
		for _, v := range r.Do {
			if !slices.Contains(verbs, v) {
				fail(fmt.Sprintf("may[%d].do", i), "must be one of "+list(), string(v))
			}
		}
		for j, on := range r.On {
			kind, name, _ := strings.Cut(on, "/")
			if on != "all" && (name == "" || !slices.Contains([]string{"policy", "owner", "target"}, kind)) {
				fail(fmt.Sprintf("may[%d].on[%d]", i, j), "must be all, policy/NAME, owner/NAME or target/TARGET", on)
			}
		}
	}
}

func list() string {
	words := make([]string, len(verbs))
	for i, v := range verbs {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}
