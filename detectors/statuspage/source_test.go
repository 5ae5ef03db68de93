package statuspage

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	standin "github.com/signalbox/signalbox/test/standin/statuspage"
)

var moment = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// contract is the path of the vendor's description; "" where it is absent.
func contract(t testing.TB) string {
	dir := os.Getenv("SIGNALBOX_CONTRACTS")
	if dir == "" {
		dir = "../../../shared/contracts"
	}
	path := filepath.Join(dir, "statuspage", "statuspage.trim.json")
	if _, err := os.Stat(path); err != nil {
		t.Log("SKIPPED: the checks against the contract, which is absent: set SIGNALBOX_CONTRACTS")
		return ""
	}
	return path
}

// page is a stand-in, and a source on it whose clock is *now.
func page(t testing.TB, now *time.Time) (*standin.Server, *Source) {
	t.Helper()
	s, err := standin.New(standin.Options{Spec: contract(t)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.Close()
		if got := s.Violations(); len(got) > 0 {
			t.Errorf("violations of the contract: %q", got)
		}
	})
	return s, source(t, server.URL, now)
}

func source(t testing.TB, address string, now *time.Time) *Source {
	t.Helper()
	s := newSettings()
	s.URL = address
	s.Validate(func(path, rule string, value any) { t.Errorf("%s: %s, got %v", path, rule, value) })
	opened, err := Kind().Open("psp", s, kind.Env{ConfigDir: t.TempDir(), Agent: "signalbox/test", Now: func() time.Time { return *now }})
	if err != nil {
		t.Fatal(err)
	}
	return opened.(*Source)
}

func ask(t testing.TB, s *Source, now time.Time) signalbox.Answer {
	t.Helper()
	answers := s.Ask(t.Context(), []signalbox.Question{{Source: "psp", Query: question}}, now)
	if len(answers) != 1 || answers[0].Question.Query != question || !answers[0].At.Equal(now) {
		t.Fatalf("got %+v", answers)
	}
	return answers[0]
}

var shop = standin.Page{
	ID: "p1", Name: "Payments Inc", UpdatedAt: moment.Add(-200 * 24 * time.Hour),
	Components: []standin.Component{
		{ID: "g1", Name: "API", IsGroup: true},
		{ID: "c1", Name: "Payouts", Group: "g1"},
		{ID: "c2", Name: "Webhooks", Group: "g1"},
		{ID: "g2", Name: "Dashboard", IsGroup: true},
		{ID: "c3", Name: "Payouts", Group: "g2"},
	},
}

func TestAsk(t *testing.T) {
	now := moment
	stand, s := page(t, &now)
	stand.Set(shop)
	if s.Origin() != "statuspage:"+s.client.Base().Host {
		t.Errorf("origin %q", s.Origin())
	}
	a := ask(t, s, now)
	if a.Err != nil || len(a.Samples) != 6 || len(a.Warnings) != 0 {
		t.Fatalf("got %+v", a)
	}
	if c := a.Samples[2]; c.Labels["name"] != "Payouts" || c.Labels["group"] != "API" || c.Labels["status"] != "operational" || !c.At.Equal(now) {
		t.Errorf("got %+v", c)
	}
	now = now.Add(59 * time.Second) // what was read counts on, with its time
	if a := ask(t, s, now); a.Err != nil || !a.Samples[0].At.Equal(moment) {
		t.Errorf("got %+v", a)
	}
	now = now.Add(time.Second)
	stand.Age(20 * time.Second) // a cache answers
	if a := ask(t, s, now); a.Err != nil || !a.Samples[0].At.Equal(now.Add(-20*time.Second)) {
		t.Errorf("got %+v", a)
	}
	if all, unchanged := stand.Requests(); all != 2 || unchanged != 1 {
		t.Errorf("%d requests, %d of them 304, want 2 and 1", all, unchanged)
	}
	answers := s.Ask(t.Context(), []signalbox.Question{{Query: question}, {Query: "incidents"}}, now)
	if answers[0].Err != nil || answers[1].Err == nil {
		t.Errorf("got %+v", answers)
	}
}

func TestAskIsPolite(t *testing.T) {
	for _, c := range []struct {
		fault standin.Fault
		quiet time.Duration
	}{
		{standin.Fault{Status: 429, Header: map[string]string{"Retry-After": "90"}}, 90 * time.Second},
		{standin.Fault{Status: 429}, time.Minute},
		{standin.Fault{Status: 420, Header: map[string]string{"Retry-After": "300"}}, 300 * time.Second},
		{standin.Fault{Status: 420}, time.Minute},
	} {
		t.Run(fmt.Sprint(c.fault), func(t *testing.T) {
			now := moment
			stand, s := page(t, &now)
			stand.Set(shop)
			stand.Fail(c.fault)
			for ; now.Before(moment.Add(c.quiet)); now = now.Add(5 * time.Second) {
				a := ask(t, s, now)
				if r, ok := errors.AsType[*signalbox.RetryAfter](a.Err); a.Err == nil || a.Samples != nil || ok && r.After > c.quiet {
					t.Fatalf("got %+v", a)
				}
			}
			if all, _ := stand.Requests(); all != 1 {
				t.Errorf("asked %d times while it was sent away", all)
			}
			if a := ask(t, s, now); a.Err != nil {
				t.Errorf("got %v when the time was over", a.Err)
			}
		})
	}
}

func TestAskRefuses(t *testing.T) {
	good := `{"page":{"id":"p"},"status":{"indicator":"none"},"components":[]}`
	many := strings.TrimSuffix(strings.Repeat(`{"id":"a"},`, maxComponents+1), ",")
	for _, c := range []struct{ name, body, want string }{
		{"good", good, ""},
		{"null", "null", "not the summary"},
		{"empty object", "{}", "not the summary"},
		{"list", "[]", "not the JSON"},
		{"no page", `{"status":{"indicator":"none"},"components":[]}`, "not the summary"},
		{"no indicator", `{"page":{"id":"p"},"components":[]}`, "not the summary"},
		{"no components", `{"page":{"id":"p"},"status":{"indicator":"none"}}`, "not the summary"},
		{"the same id twice", strings.Replace(good, "[]", `[{"id":"a"},{"id":"a"}]`, 1), "an id of its own"},
		{"no id", strings.Replace(good, "[]", `[{"name":"a"}]`, 1), "an id of its own"},
		{"too many", strings.Replace(good, "[]", "["+many+"]", 1), "5001 components"},
		{"another shape", strings.Replace(good, "[]", `{"a":1}`, 1), "not the JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(c.body))
			}))
			defer server.Close()
			now := moment
			a := ask(t, source(t, server.URL, &now), now)
			if c.want == "" && a.Err != nil || c.want != "" && (a.Err == nil || !strings.Contains(a.Err.Error(), c.want) || a.Samples != nil) {
				t.Errorf("got %+v, want %q", a, c.want)
			}
		})
	}
}
