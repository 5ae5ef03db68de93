package kind

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// Door says who may post to a source: by a bearer token, by basic
// authentication, or by a client certificate that the server's TLS has
// verified. One of those that are given is enough; with none, nobody is
// turned away, which is for listeners on loopback only. It holds secrets and
// is never printed. It is safe for concurrent use.
type Door struct {
	Bearer      func() (string, error) // read at each use, so that a rotated file counts at once
	Username    string
	Password    func() (string, error)
	ClientNames []string // common or DNS names of client certificates
	// Signed: each message is signed, and Receiver.Verify refuses those that
	// are not. A credential, where one is asked for too, is needed besides.
	Signed bool
}

// Open reports whether the door, with Verify behind it, turns nobody away.
func (d *Door) Open() bool { return d == nil || !d.Signed && d.asksNobody() }

func (d *Door) asksNobody() bool {
	return d.Bearer == nil && d.Password == nil && len(d.ClientNames) == 0
}

// Errors of Check.
var (
	ErrNoCredential  = errors.New("no credential was given")
	ErrBadCredential = errors.New("the credential is wrong")
	ErrNoSecret      = errors.New("the secret to compare with can't be read")
)

// Check returns nil when r may come in. ErrNoSecret is a fault of ours, to be
// answered with 503; the others are 401. Secrets are compared in constant time.
func (d *Door) Check(r *http.Request) error {
	if d == nil || d.asksNobody() {
		return nil
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		cert := r.TLS.VerifiedChains[0][0]
		for _, name := range append([]string{cert.Subject.CommonName}, cert.DNSNames...) {
			if slices.Contains(d.ClientNames, name) {
				return nil
			}
		}
	}
	given := r.Header.Get("Authorization")
	if given == "" {
		return ErrNoCredential
	}
	if token, ok := strings.CutPrefix(given, "Bearer "); ok && d.Bearer != nil {
		return compare(d.Bearer, token)
	}
	if user, password, ok := r.BasicAuth(); ok && d.Password != nil {
		err := compare(d.Password, password)
		if !equal(user, d.Username) {
			return ErrBadCredential
		}
		return err
	}
	return ErrBadCredential
}

func compare(secret func() (string, error), given string) error {
	want, err := secret()
	if err != nil || want == "" {
		return ErrNoSecret
	}
	if !equal(want, given) {
		return ErrBadCredential
	}
	return nil
}

// equal hides the length too, by comparing digests.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
