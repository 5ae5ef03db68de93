package alerts

import (
	"errors"
	"os"
	"path"
	"strings"

	"github.com/signalbox/signalbox/internal/kind"
)

// Auth says who may post: the bearer of a token, a user with a password, or a
// client certificate that the server's TLS has verified. One is enough. With
// none of them nobody is turned away, which the daemon accepts on loopback only.
type Auth struct {
	// File that holds the bearer token; read at each use.
	BearerFile string `yaml:"bearer_file" json:"bearer_file,omitempty"`
	// Environment variable that holds the bearer token.
	BearerEnv string `yaml:"bearer_env" json:"bearer_env,omitempty"`
	// User name of basic authentication.
	Username string `yaml:"username" json:"username,omitempty"`
	// File that holds the password of basic authentication; read at each use.
	PasswordFile string `yaml:"password_file" json:"password_file,omitempty"`
	// Common or DNS names of client certificates that may post.
	ClientNames []string `yaml:"client_names" json:"client_names,omitempty"`
}

func (a *Auth) validate(fail kind.Fail) {
	if a.BearerFile != "" && a.BearerEnv != "" {
		fail("auth.bearer_env", "must not be given together with bearer_file", a.BearerEnv)
	}
	if (a.Username == "") != (a.PasswordFile == "") {
		fail("auth.password_file", "must be given together with username", a.PasswordFile)
	}
	if strings.Contains(a.Username, ":") {
		fail("auth.username", "must not contain a colon", a.Username)
	}
	for _, name := range a.ClientNames {
		if strings.TrimSpace(name) == "" {
			fail("auth.client_names", "must not hold an empty name", name)
		}
	}
}

// Door is the door that the settings describe. Its paths begin where those of
// the settings do.
func (a *Auth) Door() *kind.Door {
	d := &kind.Door{Username: a.Username, ClientNames: a.ClientNames}
	switch {
	case a.BearerFile != "":
		d.Bearer = SecretFile(a.BearerFile)
	case a.BearerEnv != "":
		d.Bearer = secretEnv(a.BearerEnv)
	}
	if a.PasswordFile != "" {
		d.Password = SecretFile(a.PasswordFile)
	}
	return d
}

// ValidatePath reports a path that no webhook may have. key is where it stands.
func ValidatePath(fail kind.Fail, key, receive string) {
	const rule = "must be a clean path below /webhooks/, of letters, digits and . _ ~ - /"
	rest, below := strings.CutPrefix(receive, "/webhooks/")
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-/"
	odd := strings.ContainsFunc(receive, func(c rune) bool { return !strings.ContainsRune(plain, c) })
	if !below || rest == "" || odd || path.Clean(receive) != receive {
		fail(key, rule, receive)
	}
}

// SecretFile reads a secret when it is used, so that a rotated file counts at
// once. The error names the file and nothing of its content.
func SecretFile(path string) func() (string, error) {
	return func() (string, error) {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		return strings.TrimSpace(string(b)), nil
	}
}

func secretEnv(name string) func() (string, error) {
	return func() (string, error) {
		v := strings.TrimSpace(os.Getenv(name))
		if v == "" {
			return "", errors.New("environment variable " + name + " is empty")
		}
		return v, nil
	}
}
