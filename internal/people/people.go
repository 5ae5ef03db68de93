package people

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Port tells who a request is of. Other ways to sign in implement it.
type Port interface {
	// Who returns ErrNobody where the request shows no credential of a person.
	Who(r *http.Request) (Person, error)
}

// ErrNobody says that a request is of nobody who is known.
var ErrNobody = errors.New("no credential of a person who is configured")

// Person is who asks.
type Person struct {
	Name   string
	Rights []Right
}

// May reports whether a person may do something that is in all of the scopes: a
// right on any of them is enough, since an incident's action is in its
// policy's, its owner's and its targets' scopes at once. Without scopes, it is
// asked about everything.
func (p Person) May(do Verb, scopes ...string) bool {
	for _, r := range p.Rights {
		if !slices.Contains(r.Do, do) {
			continue
		}
		if len(r.On) == 0 || slices.Contains(r.On, "all") {
			return true
		}
		for _, on := range r.On {
			if slices.ContainsFunc(scopes, func(s string) bool { return like(on, s) }) {
				return true
			}
		}
	}
	return false
}

// like matches a scope with a pattern in which * stands for any text.
func like(pattern, scope string) bool {
	flat := func(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
	ok, err := path.Match(flat(pattern), flat(scope))
	return err == nil && ok
}

// People are those of one configuration. It is safe for concurrent use.
type People struct {
	names []string
	all   map[string]Settings
	dir   string
}

var _ Port = (*People)(nil)

// New returns the people of a configuration, whose relative paths begin at dir.
// Two people with one client name or user are an error.
func New(all map[string]Settings, dir string) (*People, error) {
	p := &People{names: slices.Sorted(maps.Keys(all)), all: all, dir: dir}
	seen := map[string]string{}
	var errs []error
	for _, name := range p.names {
		s := all[name]
		ids := []string{}
		for _, n := range s.ClientNames {
			ids = append(ids, "client name "+n)
		}
		if s.User != "" {
			ids = append(ids, "user "+s.User)
		}
		for _, id := range ids {
			if other, twice := seen[id]; twice && other != name {
				errs = append(errs, fmt.Errorf("people %q and %q have the same %s", other, name, id))
			}
			seen[id] = name
		}
	}
	return p, errors.Join(errs...)
}

// Count returns how many people there are.
func (p *People) Count() int { return len(p.names) }

// Approvers counts the people who may approve what a policy with an owner does.
func (p *People) Approvers(policy, owner string) (n int) {
	for _, name := range p.names {
		if (Person{Rights: p.all[name].May}).May(Approve, "policy/"+policy, "owner/"+owner) {
			n++
		}
	}
	return n
}

// Who implements Port. A request that shows credentials of two people is of
// neither: whose act it is would be a matter of taste.
func (p *People) Who(r *http.Request) (Person, error) {
	certified, err := p.byCertificate(r)
	if err != nil {
		return Person{}, err
	}
	named := certified
	if token, ok := bearer(r); ok {
		person, err := p.byToken(token)
		if err != nil {
			return Person{}, err
		}
		named = person.Name
	} else if user, _, ok := r.BasicAuth(); ok { // the server has checked the password
		named = cmp.Or(p.byUser(user), certified)
	}
	switch {
	case named == "":
		return Person{}, ErrNobody
	case certified != "" && certified != named:
		return Person{}, fmt.Errorf("%w: the certificate is of %s, and what is sent with it of %s", ErrNobody, certified, named)
	}
	return p.person(named), nil
}

// byCertificate finds the person of a certificate that the server verified; "":
// there is none, or it is nobody's.
func (p *People) byCertificate(r *http.Request) (string, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return "", nil
	}
	names, found := namesOf(r.TLS.VerifiedChains[0][0]), []string{}
	for _, name := range p.names {
		if slices.ContainsFunc(p.all[name].ClientNames, func(n string) bool { return slices.Contains(names, n) }) {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("%w: one certificate names %s", ErrNobody, strings.Join(found, " and "))
}

func (p *People) byUser(user string) string {
	for _, name := range p.names {
		if user != "" && p.all[name].User == user {
			return name
		}
	}
	return ""
}

func (p *People) person(name string) Person { return Person{Name: name, Rights: p.all[name].May} }

func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "bearer")
}

func namesOf(c *x509.Certificate) []string {
	names := append([]string{}, c.DNSNames...)
	names = append(names, c.EmailAddresses...)
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	if c.Subject.CommonName != "" {
		names = append(names, c.Subject.CommonName)
	}
	return names
}

// leastToken is the least length of a token.
const leastToken = 16

// byToken compares with each person's token, all of them and in constant time.
// A token that two people have is nobody's.
func (p *People) byToken(token string) (Person, error) {
	got := sha256.Sum256([]byte(token))
	found := []string{}
	for _, name := range p.names {
		own, err := p.token(name)
		if err != nil || len(own) < leastToken {
			own = ""
		}
		want := sha256.Sum256([]byte(own))
		if subtle.ConstantTimeCompare(got[:], want[:]) == 1 && own != "" {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 1:
		return p.person(found[0]), nil
	case 0:
		return Person{}, ErrNobody
	}
	return Person{}, fmt.Errorf("%w: %s share one token", ErrNobody, strings.Join(found, " and "))
}

func (p *People) token(name string) (string, error) {
	s := p.all[name]
	if s.TokenEnv != "" {
		return strings.TrimSpace(os.Getenv(s.TokenEnv)), nil
	}
	if s.TokenFile == "" {
		return "", nil
	}
	file := s.TokenFile
	if !filepath.IsAbs(file) {
		file = filepath.Join(p.dir, file)
	}
	b, err := os.ReadFile(file)
	return strings.TrimSpace(string(b)), err
}
