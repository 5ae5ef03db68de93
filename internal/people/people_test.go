package people

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func company(t *testing.T) *People {
	t.Helper()
	dir := t.TempDir()
	for name, token := range map[string]string{"lead": "lead-token-0123456789\n", "short": "short"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("ONCALL_TOKEN", "oncall-token-0123456789")
	p, err := New(map[string]Settings{
		"lead":   {TokenFile: "lead", User: "lead", May: []Right{{Do: []Verb{View, Control, Kill, Approve}}}},
		"oncall": {TokenEnv: "ONCALL_TOKEN", ClientNames: []string{"oncall@example.org"}, May: []Right{{Do: []Verb{View}}, {Do: []Verb{Approve}, On: []string{"owner/backend", "policy/reads-*"}}}},
		"short":  {TokenFile: "short", May: []Right{{Do: []Verb{View}}}},
		"gone":   {TokenFile: "none", May: []Right{{Do: []Verb{View}}}},
	}, dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWho(t *testing.T) {
	p := company(t)
	cert := &x509.Certificate{Subject: pkix.Name{CommonName: "x"}, EmailAddresses: []string{"oncall@example.org"}}
	for name, c := range map[string]struct {
		header string
		user   string
		tls    *tls.ConnectionState
		want   string
	}{
		"token of a file":       {header: "Bearer lead-token-0123456789", want: "lead"},
		"token of a variable":   {header: "bearer oncall-token-0123456789", want: "oncall"},
		"no credential":         {},
		"wrong token":           {header: "Bearer lead-token-012345678"},
		"empty token":           {header: "Bearer "},
		"too short a token":     {header: "Bearer short"},
		"user":                  {user: "lead", want: "lead"},
		"unknown user":          {user: "nobody"},
		"certificate":           {tls: &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}, want: "oncall"},
		"unverified":            {tls: &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}},
		"a bad token stands":    {header: "Bearer wrong-token-0123456789", tls: &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}},
		"both of one":           {header: "Bearer oncall-token-0123456789", tls: &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}, want: "oncall"},
		"both of two":           {header: "Bearer lead-token-0123456789", tls: &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}},
		"a user's beside it":    {user: "lead", tls: &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}},
		"nobody's beside it":    {user: "nobody", tls: &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}, want: "oncall"},
		"other certificate":     {tls: &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: "other"}}}}}},
		"token as a user's":     {user: "oncall"},
		"another kind of token": {header: "Basic bGVhZDp4"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
		}
		if c.user != "" {
			r.SetBasicAuth(c.user, "checked by the server")
		}
		r.TLS = c.tls
		if name == "another kind of token" {
			c.want = "lead" // a user whom the server has let in
		}
		who, err := p.Who(r)
		if who.Name != c.want || (c.want == "") != errors.Is(err, ErrNobody) {
			t.Errorf("%s: got %q, %v, want %q", name, who.Name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "token-0") {
			t.Errorf("%s: a token is shown: %v", name, err)
		}
	}
}

// A rotated token counts at once.
func TestTokenIsReadAtUse(t *testing.T) {
	p := company(t)
	if err := os.WriteFile(filepath.Join(p.dir, "lead"), []byte("another-token-0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]string{"lead-token-0123456789": "", "another-token-0123456789": "lead"} {
		if who, _ := p.byToken(token); who.Name != want {
			t.Errorf("%s: got %q, want %q", token, who.Name, want)
		}
	}
	t.Setenv("ONCALL_TOKEN", "another-token-0123456789")
	if who, err := p.byToken("another-token-0123456789"); who.Name != "" || !strings.Contains(err.Error(), "lead and oncall share one token") {
		t.Errorf("got %q, %v", who.Name, err)
	}
}

func TestRights(t *testing.T) {
	oncall, _ := company(t).byToken("oncall-token-0123456789")
	for _, c := range []struct {
		do     Verb
		scopes []string
		want   bool
	}{
		{View, nil, true},
		{Control, []string{"policy/reads-eu"}, false},
		{Approve, nil, false},
		{Approve, []string{"policy/reads-eu", "owner/devops"}, true},
		{Approve, []string{"policy/other", "owner/backend"}, true},
		{Approve, []string{"policy/other", "owner/devops"}, false},
		{Kill, []string{"all"}, false},
	} {
		if got := oncall.May(c.do, c.scopes...); got != c.want {
			t.Errorf("%s on %v: got %t", c.do, c.scopes, got)
		}
	}
	p := company(t)
	if got := p.Approvers("reads-eu", "devops"); got != 2 {
		t.Errorf("approvers: got %d", got)
	}
}

func TestOneCredentialIsOnePersons(t *testing.T) {
	_, err := New(map[string]Settings{"a": {User: "x", ClientNames: []string{"n"}}, "b": {User: "x"}, "c": {ClientNames: []string{"n"}}}, "")
	if err == nil || !strings.Contains(err.Error(), `"a" and "b" have the same user x`) || !strings.Contains(err.Error(), `"a" and "c" have the same client name n`) {
		t.Errorf("got %v", err)
	}
}

func TestValidate(t *testing.T) {
	for want, s := range map[string]Settings{
		" must have a way to be known":       {},
		"token_file token_file and":          {TokenFile: "a", TokenEnv: "B"},
		"may[0].do must be one of":           {User: "x", May: []Right{{Do: []Verb{"fly"}}}},
		"may[0].do must name":                {User: "x", May: []Right{{}}},
		"may[0].on[0] must be all, policy/N": {User: "x", May: []Right{{Do: []Verb{View}, On: []string{"everything"}}}},
	} {
		var got []string
		s.Validate(func(path, rule string, _ any) { got = append(got, path+" "+rule) })
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
