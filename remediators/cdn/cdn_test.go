package cdn

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	standin "github.com/signalbox/signalbox/test/standin/cdn"
)

const token = "hunter2-purge-token"

var moment = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// contracts are the paths of the vendors' descriptions, or empty.
func contracts(t testing.TB) (fastly, cloudflare string) {
	dir := os.Getenv("SIGNALBOX_CONTRACTS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "contracts")
	}
	fastly, cloudflare = filepath.Join(dir, "fastly", "purge.handwritten.yaml"), filepath.Join(dir, "cloudflare", "purge.handwritten.yaml")
	for _, path := range []string{fastly, cloudflare} {
		if _, err := os.Stat(path); err != nil {
			t.Logf("the contract checks are SKIPPED: say where the vendors' descriptions are in SIGNALBOX_CONTRACTS: %v", err)
			return "", ""
		}
	}
	return fastly, cloudflare
}

// bench is a stand-in, the remediator, and a step for each vendor.
type bench struct {
	*standin.Server
	r    signalbox.Remediator
	url  string
	dir  string
	gate func() error
}

func newBench(t testing.TB) *bench {
	t.Helper()
	fastly, cloudflare := contracts(t)
	s, err := standin.New(standin.Options{Token: token, Service: "SU1Z0isxPaozGVKXdv0eY", Zone: "023e105f4ecef8ad9ca31a8372d0c353", FastlySpec: fastly, CloudflareSpec: cloudflare})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	b := &bench{Server: s, url: server.URL, dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(b.dir, "token"), []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b.r, err = Kind().Open(kind.Env{Now: func() time.Time { return moment }, Agent: "signalbox/test"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if v := s.Violations(); len(v) > 0 {
			t.Errorf("violations: %q", v)
		}
	})
	return b
}

func (b *bench) fastly() *Fastly {
	s := newFastly()
	s.Service, s.TokenFile, s.URL, s.Keys = "SU1Z0isxPaozGVKXdv0eY", "token", b.url, []string{"checkout", "assets/v2"}
	return s
}

func (b *bench) cloudflare() *Cloudflare {
	s := newCloudflare()
	s.Zone, s.TokenFile, s.URL = "023e105f4ecef8ad9ca31a8372d0c353", "token", b.url
	return s
}

// step resolves settings that must be right.
func (b *bench) step(t testing.TB, s kind.Settings) signalbox.Step {
	t.Helper()
	if got := problems(s); len(got) > 0 {
		t.Fatalf("the settings are wrong: %q", got)
	}
	vendor := vendorFastly
	if _, ok := s.(*Cloudflare); ok {
		vendor = vendorCloudflare
	}
	raw, err := Kind().Spec(kind.SpecInput{Name: "caches", Backend: vendor, Settings: s, ConfigDir: b.dir})
	if err != nil {
		t.Fatal(err)
	}
	return signalbox.Step{Kind: "cdn", Name: "caches", Spec: raw, Tool: true, About: &signalbox.About{Labels: map[string]string{"pop": "fra"}}}
}

func problems(s kind.Settings) (out []string) {
	s.Validate(func(path, rule string, value any) { out = append(out, fmt.Sprintf("%s: %s (%v)", path, rule, value)) })
	return out
}

func (b *bench) action(step signalbox.Step) signalbox.Action {
	return signalbox.Action{ID: "i1-1", Step: step, Stage: signalbox.Claimed, Gate: b.gate}
}

func TestPurges(t *testing.T) {
	b := newBench(t)
	hard := b.fastly()
	hard.Soft = false
	byPOP := b.fastly()
	byPOP.Keys, byPOP.By = nil, &FastlyBy{Label: "pop", Values: map[string][]string{"fra": {"pop-fra"}, "ams": {"pop-ams"}}}
	files, tags, hosts, prefixes, by := b.cloudflare(), b.cloudflare(), b.cloudflare(), b.cloudflare(), b.cloudflare()
	files.Files, tags.Tags, hosts.Hosts, prefixes.Prefixes = []string{"https://x.example/a?b=c"}, []string{"t1", "t2"}, []string{"x.example"}, []string{"x.example/a"}
	by.By = &CloudflareBy{Label: "pop", What: "hosts", Values: map[string][]string{"fra": {"fra.example"}}}
	for i, c := range []struct {
		s    kind.Settings
		want standin.Purge
	}{
		{b.fastly(), standin.Purge{What: "keys", Items: []string{"checkout", "assets/v2"}, Soft: true}},
		{hard, standin.Purge{What: "keys", Items: []string{"checkout", "assets/v2"}}},
		{byPOP, standin.Purge{What: "keys", Items: []string{"pop-fra"}, Soft: true}},
		{files, standin.Purge{What: "files", Items: files.Files}},
		{tags, standin.Purge{What: "tags", Items: tags.Tags}},
		{hosts, standin.Purge{What: "hosts", Items: hosts.Hosts}},
		{prefixes, standin.Purge{What: "prefixes", Items: prefixes.Prefixes}},
		{by, standin.Purge{What: "hosts", Items: []string{"fra.example"}}},
	} {
		step := b.step(t, c.s)
		before := b.Requests()
		f, err := b.r.Preview(t.Context(), step)
		if err != nil || f.Refused != "" || f.Class != signalbox.ClassB || f.Undo != nil || len(f.Targets) != 1 || b.Requests() != before {
			t.Fatalf("%d: preview: %+v, %v, %d requests", i, f, err, b.Requests()-before)
		}
		a := b.action(step)
		if p, _ := b.r.Probe(t.Context(), a); p.Phase != signalbox.InDoubt {
			t.Errorf("%d: before it was answered: %+v", i, p)
		}
		receipt, err := b.r.Start(t.Context(), a)
		if err != nil || receipt.At.IsZero() {
			t.Fatalf("%d: start: %+v, %v", i, receipt, err)
		}
		if got := b.Purges(); !reflect.DeepEqual(got[len(got)-1], c.want) || b.Requests() != before+1 {
			t.Errorf("%d: got %+v with %d requests, want %+v", i, got[len(got)-1], b.Requests()-before, c.want)
		}
		a.Receipt = receipt
		if p, _ := b.r.Probe(t.Context(), a); p.Phase != signalbox.Succeeded {
			t.Errorf("%d: with a receipt: %+v", i, p)
		}
	}
}

// What a label's value does not list is refused, and nothing is sent.
func TestRefused(t *testing.T) {
	b := newBench(t)
	s := b.fastly()
	s.Keys, s.By = nil, &FastlyBy{Label: "pop", Values: map[string][]string{"ams": {"a"}}}
	other := b.step(t, s)
	none := other
	none.About = &signalbox.About{}
	noToken := b.fastly()
	noToken.TokenFile = "absent"
	for want, step := range map[string]signalbox.Step{`by.values lists nothing for pop="fra"`: other, "has no label pop": none, "token_file can't be read": b.step(t, noToken)} {
		f, err := b.r.Preview(t.Context(), step)
		if err != nil || !strings.Contains(f.Refused, want) {
			t.Errorf("preview: got %q, %v, want %q", f.Refused, err, want)
		}
		var failure *signalbox.Failure
		if _, err := b.r.Start(t.Context(), b.action(step)); !errors.As(err, &failure) || !strings.Contains(err.Error(), want) {
			t.Errorf("start: got %v, want a failure with %q", err, want)
		}
	}
	if b.Requests() > 0 {
		t.Errorf("%d requests", b.Requests())
	}
}

// Each answer is a failure where nothing was surely purged, else a doubt; none
// shows the token.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault standin.Fault
		sure  bool
		want  string
	}{
		{"400", standin.Fault{Status: 400, Body: `{"msg":"bad ` + token + `","detail":"x"}`}, true, "bad (not shown) x"},
		{"401", standin.Fault{Status: 401, Body: `{"msg":"` + token + `"}`}, true, "credentials are not accepted"},
		{"403", standin.Fault{Status: 403}, true, "credentials are not accepted"},
		{"404", standin.Fault{Status: 404, Body: `{"errors":[{"code":7003,"message":"no route"}]}`}, true, "7003 no route"},
		{"408", standin.Fault{Status: 408}, false, "408"},
		{"409", standin.Fault{Status: 409}, true, "409"},
		{"422", standin.Fault{Status: 422}, true, "422"},
		{"429", standin.Fault{Status: 429, Header: map[string]string{"Retry-After": "7"}}, true, "429"},
		{"500", standin.Fault{Status: 500}, false, "500"},
		{"502 of a proxy", standin.Fault{Status: 502, Header: map[string]string{"Content-Type": "text/html"}, Body: token}, false, "502"},
		{"503", standin.Fault{Status: 503, Header: map[string]string{"Retry-After": "7"}}, false, "503"},
		{"302", standin.Fault{Status: 302, Header: map[string]string{"Location": "https://elsewhere.example/"}}, true, "has moved"},
		{"lost", standin.Fault{Reset: true, AfterEffect: true}, false, "the answer was lost"},
		{"garbage", standin.Fault{Status: 200, Body: token}, false, "not the JSON"},
		{"hang", standin.Fault{Hang: true}, false, "no answer in time"},
		{"no id", standin.Fault{Status: 200, Body: `{"other":"1"}`}, false, `does not name key "checkout"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.Fail(c.fault)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if c.fault.Hang {
				ctx, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
				defer cancel()
			}
			_, err := b.r.Start(ctx, b.action(b.step(t, b.fastly())))
			var failure *signalbox.Failure
			if err == nil || errors.As(err, &failure) != c.sure || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v (failure: %t), want one with %q (%t)", err, errors.As(err, &failure), c.want, c.sure)
			}
			var later *signalbox.RetryAfter
			if wait := c.fault.Header["Retry-After"]; wait != "" && (!errors.As(err, &later) || later.After != 7*time.Second) {
				t.Errorf("it does not say when to come back: %v", err)
			}
			if b.Requests() != 1 {
				t.Errorf("%d requests", b.Requests())
			}
			// Sent again it has the same effect.
			if _, err := b.r.Start(t.Context(), b.action(b.step(t, b.fastly()))); err != nil {
				t.Errorf("again: %v", err)
			}
		})
	}
}

func TestCloudflareSaysNo(t *testing.T) {
	for body, sure := range map[string]bool{`{"success":false,"errors":[],"messages":[]}`: true, `{}`: false} {
		b := newBench(t)
		b.Fail(standin.Fault{Status: 200, Body: body})
		s := b.cloudflare()
		s.Tags = []string{"t"}
		_, err := b.r.Start(t.Context(), b.action(b.step(t, s)))
		var failure *signalbox.Failure
		if err == nil || errors.As(err, &failure) != sure {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

func TestGateAndEnd(t *testing.T) {
	b := newBench(t)
	ended, cancel := context.WithCancel(t.Context())
	b.gate = func() error { return errors.New("killed") }
	_, held := b.r.Start(t.Context(), b.action(b.step(t, b.fastly())))
	b.gate = func() error { cancel(); return nil }
	_, late := b.r.Start(ended, b.action(b.step(t, b.fastly())))
	b.gate = nil
	b.url = "http://127.0.0.1:1"
	_, nobody := b.r.Start(t.Context(), b.action(b.step(t, b.fastly())))
	for _, err := range []error{held, late, nobody} {
		var failure *signalbox.Failure
		if !errors.As(err, &failure) {
			t.Errorf("got %v, want a failure", err)
		}
	}
	if b.Requests() > 0 {
		t.Errorf("%d requests", b.Requests())
	}
}

func TestValidate(t *testing.T) {
	b := newBench(t)
	many := make([]string, 257)
	for i := range many {
		many[i] = fmt.Sprint("k", i)
	}
	fastly := func(change func(*Fastly)) kind.Settings { s := b.fastly(); change(s); return s }
	cloudflare := func(change func(*Cloudflare)) kind.Settings { s := b.cloudflare(); change(s); return s }
	for want, s := range map[string]kind.Settings{
		"service: must be an id":             fastly(func(s *Fastly) { s.Service = "a/../b" }),
		"token_file: must name":              fastly(func(s *Fastly) { s.TokenFile = "" }),
		"url: must be https":                 fastly(func(s *Fastly) { s.URL = "http://api.example" }),
		"keys: must be given, or by":         fastly(func(s *Fastly) { s.Keys = nil }),
		"keys: must be at most 256":          fastly(func(s *Fastly) { s.Keys = many }),
		"keys[1]: must be listed once":       fastly(func(s *Fastly) { s.Keys = []string{"a", "a"} }),
		"keys[0]: must be 1 to 1024 visible": fastly(func(s *Fastly) { s.Keys = []string{"a b"} }),
		"by.label: must be the name":         fastly(func(s *Fastly) { s.Keys, s.By = nil, &FastlyBy{Label: "a-b", Values: map[string][]string{"v": {"k"}}} }),
		"by.values.v: must list":             fastly(func(s *Fastly) { s.Keys, s.By = nil, &FastlyBy{Label: "a", Values: map[string][]string{"v": {}}} }),
		"files: exactly one of":              cloudflare(func(*Cloudflare) {}),
		"by.what: must be one of": cloudflare(func(s *Cloudflare) {
			s.By = &CloudflareBy{Label: "a", What: "keys", Values: map[string][]string{"v": {"k"}}}
		}),
		"files[0]: must be an http":            cloudflare(func(s *Cloudflare) { s.Files = []string{"ftp://x"} }),
		"hosts[0]: must be the name of a host": cloudflare(func(s *Cloudflare) { s.Hosts = []string{"https://x"} }),
		"prefixes[0]: must be a host":          cloudflare(func(s *Cloudflare) { s.Prefixes = []string{"/app"} }),
		"tags[0]: must be one tag":             cloudflare(func(s *Cloudflare) { s.Tags = []string{"a,b"} }),
	} {
		if got := problems(s); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("got %q, want one with %q", got, want)
		}
	}
}

func FuzzSpec(f *testing.F) {
	b := newBench(f)
	f.Add([]byte(b.step(f, b.fastly()).Spec))
	f.Add([]byte(`{"vendor":"fastly"}{}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if s, err := parseSpec(raw); err == nil && (s.ID == "" || s.TokenFile == "") {
			t.Errorf("%s was taken", raw)
		}
	})
}
