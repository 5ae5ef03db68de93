package config

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	ruleSecret = "must not stand in the configuration: give it in a file or an environment variable"
	ruleLater  = "is known, but this version does not act on it"
)

// secretNames are keys that hold a secret themselves. A key that only tells
// where one is ends in _file or _env.
var secretNames = []string{
	"password", "passwd", "passphrase", "secret", "secrets", "token", "bearer", "credentials",
	"apikey", "api_key", "application_key", "app_key", "routing_key", "integration_key", "service_key",
	"primary_key", "backup_key", "access_key", "secret_key", "private_key", "client_assertion",
}

var secretSuffixes = []string{"_password", "_secret", "_token", "_passphrase", "_credentials", "_api_key", "_private_key"}

// isSecret reports whether a key of that name holds a secret itself.
func isSecret(name string) bool {
	name = strings.ToLower(strings.ReplaceAll(name, "-", "_"))
	return slices.Contains(secretNames, name) ||
		slices.ContainsFunc(secretSuffixes, func(s string) bool { return strings.HasSuffix(name, s) })
}

// secretHeader are words in the name of an HTTP header that carries a secret.
var secretHeader = regexp.MustCompile(`(?i)auth|token|secret|key|cookie|password|credential|signature`)

// userInfo is a URL that holds a name or password, wherever it stands. The
// second form is one whose password has a slash in it; a port is none.
var (
	userInfo  = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s"']*@`)
	userSlash = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s:@"'\[]*:([^\s@"']*)@`)
	portFirst = regexp.MustCompile(`^\d+([/?#]|$)`)
)

func hasUserInfo(text string) bool {
	if userInfo.MatchString(text) {
		return true
	}
	m := userSlash.FindStringSubmatch(text)
	return m != nil && !portFirst.MatchString(m[1])
}

// hygiene walks the tree before anything is decoded: what would be a secret is
// reported by its place alone, and what names a file or a variable must find it.
type hygiene struct {
	dir       string
	lookupEnv func(string) (string, bool)
	elsewhere bool // the files and variables are not here
}

// credentialed are the sections in which keys name files and variables.
func credentialed(block string) bool {
	for _, section := range []string{"sources.", "owners.", "switches."} {
		if strings.HasPrefix(block, section) {
			return true
		}
	}
	return false
}

func (h hygiene) walk(s spot) {
	switch s.node.shape {
	case scalar:
		h.address(s)
	case sequence:
		for _, item := range s.node.items {
			h.walk(s.item(item))
		}
	case mapping:
		s.entries(func(name string, at spot) { h.entry(s, name, at) })
	}
}

func (h hygiene) entry(parent spot, name string, at spot) {
	before := len(at.report.list)
	h.walk(at)
	if len(at.report.list) > before {
		return
	}
	inside := lastKey(parent.path)
	switch {
	case (inside == "endpoint_params" || inside == "claims") && isSecret(name):
		at.fail(ruleSecret, nil)
	case inside == "http_headers" && secretHeader.MatchString(name) && at.key("values").has():
		at.key("values").fail(ruleSecret, nil)
	case h.elsewhere, at.node.shape == mapping, inside == "positions", !credentialed(at.block):
	case strings.HasSuffix(name, "_file"), name == "kubeconfig":
		h.file(at)
	case name == "files" && at.node.shape == sequence:
		for _, item := range at.node.items {
			h.file(at.item(item))
		}
	case strings.HasSuffix(name, "_env"):
		h.variable(at)
	}
}

// lastKey is the last key of a path.
func lastKey(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// address reports a URL with a name, a password or a secret parameter in it.
func (h hygiene) address(s spot) {
	text := s.text()
	if hasUserInfo(text) {
		s.fail("must not hold credentials in a URL: give them in a file or an environment variable", nil)
		return
	}
	if !strings.Contains(text, "://") || !strings.Contains(text, "?") {
		return
	}
	u, err := url.Parse(text)
	if err != nil {
		return
	}
	for name := range u.Query() {
		if isSecret(name) {
			s.fail("must not hold a secret in a URL: give it in a file or an environment variable", nil)
			return
		}
	}
}

// file opens what a key names, and reads nothing.
func (h hygiene) file(s spot) {
	path := s.text()
	if path == "" {
		s.fail("must name a file", nil)
		return
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(h.dir, path)
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		s.fail("must name a regular file", s.text())
		return
	}
	if err == nil {
		var f *os.File
		if f, err = os.Open(path); err == nil {
			err = f.Close()
		}
	}
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		s.fail("must name a file that exists, relative to the configuration's directory", s.text())
	default:
		s.fail("must name a file that can be read", s.text())
	}
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// variable looks whether a variable is set. What can't be the name of one is
// not shown: it may be what should have been in it.
func (h hygiene) variable(s spot) {
	name := s.text()
	if !variableName.MatchString(name) {
		s.fail("must be the name of an environment variable", nil)
		return
	}
	if v, ok := h.lookupEnv(name); !ok || v == "" {
		s.fail("must name an environment variable that is set and not empty", name)
	}
}
