package throttle_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/setting"
	"github.com/signalbox/signalbox/remediators/throttle"
	"github.com/signalbox/signalbox/test/servers"
)

const key = "payouts:per_minute"

// bank is a real Redis with a limit in it, and a clock that the test moves.
type bank struct {
	t *testing.T
	*servers.RedisServer
	signalbox.Remediator
	settings *throttle.Throttle

	mu  sync.Mutex
	now time.Time
}

func newBank(t *testing.T) *bank {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED with -short: it needs a real Redis")
	}
	b := &bank{t: t, RedisServer: servers.Redis(t), now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	b.Exec("SET", key, "100/min")
	b.settings = throttle.Kind().Tools["throttle"].Settings().(*throttle.Throttle)
	b.settings.Redis = &setting.Redis{Address: fmt.Sprintf("127.0.0.1:%d", b.Port), Key: key}
	b.settings.Positions = map[string]string{"full": "100/min", "half": "50/min", "low": "10/min", "most": "75/min"}
	b.settings.Floor = 10
	r, err := throttle.Kind().Open(kind.Env{Now: b.clock, Agent: "signalbox/test"})
	if err != nil {
		t.Fatal(err)
	}
	b.Remediator = r
	return b
}

func (b *bank) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bank) later(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func (b *bank) step(to string) signalbox.Step {
	b.t.Helper()
	raw, err := throttle.Kind().Spec(kind.SpecInput{Name: "payouts", Backend: "throttle", Settings: b.settings, ConfigDir: b.t.TempDir()})
	if err != nil {
		b.t.Fatal(err)
	}
	return signalbox.Step{Kind: "throttle", Name: "payouts", To: to, Spec: raw, Tool: true, Undo: signalbox.UndoAuto}
}

func (b *bank) foresee(s signalbox.Step) signalbox.Forecast {
	b.t.Helper()
	f, err := b.Preview(b.t.Context(), s)
	if err != nil {
		b.t.Fatal(err)
	}
	return f
}

func (b *bank) start(s signalbox.Step, id signalbox.ActionID, token signalbox.Token, undoes signalbox.ActionID) signalbox.Action {
	b.t.Helper()
	f := b.foresee(s)
	if f.Refused != "" {
		b.t.Fatalf("refused: %s", f.Refused)
	}
	a := signalbox.Action{ID: id, Step: s, Forecast: f, Undoes: undoes, Stage: signalbox.Claimed, Token: token, ClaimedAt: b.clock()}
	if _, err := b.Start(b.t.Context(), a); err != nil {
		b.t.Fatal(err)
	}
	return a
}

func (b *bank) probe(a signalbox.Action) signalbox.Progress {
	b.t.Helper()
	p, err := b.Probe(b.t.Context(), a)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bank) want(value string) {
	b.t.Helper()
	if got := b.Exec("GET", key); got != value {
		b.t.Errorf("the limit is %q, want %q", got, value)
	}
}

func (b *bank) proceed(a signalbox.Action) error {
	return b.Remediator.(signalbox.Continuer).Continue(b.t.Context(), a)
}

// A throttle lowers at once, and is lifted through each listed position, each
// for its time, whoever goes on with it.
func TestLoweredAtOnceAndLiftedInSteps(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	a := b.start(b.step("low"), "act-1", 7, "")
	b.want("10/min")
	if p := b.probe(a); p.Phase != signalbox.Succeeded {
		t.Fatalf("got %+v", p)
	}
	if time.Duration(a.Forecast.Expires) != 2*time.Hour || a.Forecast.Class != signalbox.ClassA || a.Forecast.Position != "full" || !a.Forecast.Undo.Lifts {
		t.Errorf("got %+v", a.Forecast)
	}
	u := b.start(*a.Forecast.Undo, "act-2", 9, a.ID)
	for i, value := range []string{"50/min", "75/min"} {
		b.want(value)
		if p := b.probe(u); p.Phase != signalbox.Running || p.Next {
			t.Fatalf("at %s: got %+v, want it to stay there", value, p)
		}
		if err := b.proceed(u); err != nil { // before its time
			t.Fatal(err)
		}
		b.want(value)
		b.later(5 * time.Minute)
		if p := b.probe(u); p.Phase != signalbox.Running || !p.Next {
			t.Fatalf("at %s: got %+v, want it to be due", value, p)
		}
		for range 2 - i { // twice is once: the second finds it not due
			if err := b.proceed(u); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.want("100/min")
	if p := b.probe(u); p.Phase != signalbox.Succeeded {
		t.Fatalf("got %+v", p)
	}
}

// It only ever lowers: not where the limit is lower already, not where it is
// what nobody listed.
func TestOnlyLowers(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	for value, want := range map[string]string{
		"10/min": "is at low (10/min) already, which is below half",
		"0":      "not one of the listed positions",
		"60/min": "not one of the listed positions",
	} {
		b.Exec("SET", key, value)
		f := b.foresee(b.step("half"))
		if !strings.Contains(f.Refused, want) || f.Undo != nil {
			t.Errorf("at %s: got %+v, want %q", value, f, want)
		}
		f.Refused, f.Found, f.Position = "", value, "low"
		a := signalbox.Action{ID: "act-1", Step: b.step("half"), Forecast: f, Stage: signalbox.Claimed, Token: 7}
		if _, err := b.Start(t.Context(), a); err == nil {
			t.Errorf("at %s: it was raised", value)
		}
		b.want(value)
	}
	b.Exec("SET", key, "50/min")
	if f := b.foresee(b.step("half")); !f.Already || f.Refused != "" {
		t.Errorf("got %+v", f)
	}
}

// A person's value on the way up stays, and the gate holds each write.
func TestTheWayUpYields(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	a := b.start(b.step("low"), "act-1", 7, "")
	u := b.start(*a.Forecast.Undo, "act-2", 9, a.ID)
	b.later(5 * time.Minute)
	u.Gate = func() error { return context.Canceled }
	if err := b.proceed(u); err == nil {
		t.Error("the gate was not asked")
	}
	b.want("50/min")
	u.Gate = nil
	b.Exec("SET", key, "10/min")
	if err := b.proceed(u); err != nil {
		t.Fatal(err)
	}
	b.want("10/min")
	if p := b.probe(u); p.Phase != signalbox.Succeeded || !strings.Contains(p.Receipt.Detail, "someone else changed it") {
		t.Errorf("got %+v", p)
	}
}

func TestMoves(t *testing.T) {
	tool := throttle.Kind().Tools["throttle"]
	s := tool.Settings().(*throttle.Throttle)
	s.Positions = map[string]string{"full": "100", "half": "50", "low": "10"}
	if got := tool.Moves(s); !slices.Equal(got, []string{"low", "half"}) {
		t.Errorf("got %q", got)
	}
}

func TestValidate(t *testing.T) {
	good := func() *throttle.Throttle {
		s := throttle.Kind().Tools["throttle"].Settings().(*throttle.Throttle)
		s.Redis = &setting.Redis{Address: "h:1", Key: "k"}
		s.Positions, s.Floor = map[string]string{"full": "100", "low": "10"}, 5
		return s
	}
	for want, edit := range map[string]func(s *throttle.Throttle){
		"":                                  func(*throttle.Throttle) {},
		"exactly one of configmap":          func(s *throttle.Throttle) { s.Redis = nil },
		"redis.key: must be a key":          func(s *throttle.Throttle) { s.Redis.Key = "" },
		"floor: must be above 0":            func(s *throttle.Throttle) { s.Floor = 0 },
		"low: must not be below the floor":  func(s *throttle.Throttle) { s.Floor = 20 },
		"positions: must be at least two":   func(s *throttle.Throttle) { delete(s.Positions, "low") },
		"positions.low must be a number":    func(s *throttle.Throttle) { s.Positions["low"] = "-3" },
		"must have one unit":                func(s *throttle.Throttle) { s.Positions["low"] = "10/min" },
		"must be different numbers":         func(s *throttle.Throttle) { s.Positions["low"] = "100.0" },
		"expires: must be from 1m to 7d":    func(s *throttle.Throttle) { s.Expires = 0 },
		"every: must be from 1s to 1d":      func(s *throttle.Throttle) { s.Every = 0 },
		"http.url: must begin with http://": func(s *throttle.Throttle) { s.Redis, s.HTTP = nil, &setting.HTTP{URL: "ftp://x"} },
	} {
		s, got := good(), ""
		edit(s)
		s.Validate(func(path, rule string, _ any) { got += path + ": " + rule + "\n" })
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
