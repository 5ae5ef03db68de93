package setting

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
	"pgregory.net/rapid"
)

// TestLateWriteIsRefused stops a process between its last check and its send,
// lets a successor seal, and lets the process go on.
func TestLateWriteIsRefused(t *testing.T) {
	faces(t, func(t *testing.T, face string) {
		x, stopped, successor := newTarget(t), newRemediator(t), newRemediator(t)
		a := claim(t, stopped, x.step(t, face, "replica-b"), "a1", 10)
		late := a
		late.Gate = func() error {
			if p, err := successor.Probe(t.Context(), a); err != nil || p.Phase != signalbox.InDoubt {
				t.Errorf("before the seal: %+v, %v", p, err)
			}
			if err := successor.Seal(t.Context(), a, 30); err != nil {
				t.Fatal(err)
			}
			if p, err := successor.Probe(t.Context(), a); err != nil || p.Phase != signalbox.NotStarted {
				t.Errorf("after the seal: %+v, %v", p, err)
			}
			return nil
		}
		if _, err := stopped.Start(t.Context(), late); !isFailure(err) || !strings.Contains(err.Error(), "sealed by a successor") {
			t.Errorf("late write: %v", err)
		}
		a.Sealed = 30
		if _, err := successor.Start(t.Context(), a); err != nil {
			t.Errorf("retry under the seal: %v", err)
		}
		if v, f, n := x.state(); v != valueB || f.Token != 30 || f.Action != "a1" || n != 2 {
			t.Errorf("value %q, %+v, %d writes", v, f, n)
		}
	})
}

func TestSealIsIdempotent(t *testing.T) {
	faces(t, func(t *testing.T, face string) {
		x, r := newTarget(t), newRemediator(t)
		before := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
		if _, err := r.Start(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		if err := r.Seal(t.Context(), before, 15); err != nil {
			t.Errorf("its effect is there: %v", err)
		}
		u := undoOf(t, r, before, "u1", 20)
		for _, token := range []signalbox.Token{30, 30, 25, 40} {
			if err := r.Seal(t.Context(), u, token); err != nil {
				t.Errorf("token %d: %v", token, err)
			}
		}
		want := fence.Fence{Token: 40, Action: "a1", Value: valueB, Was: valueA, Standing: true, Sealed: "u1"}
		if v, f, n := x.state(); v != valueB || f != want || n != 3 {
			t.Errorf("value %q, %+v, %d writes", v, f, n)
		}
		if err := r.Seal(t.Context(), before, 10); err == nil {
			t.Error("a token that is not above the action's")
		}
		if err := r.Seal(t.Context(), signalbox.Action{ID: "other", Step: u.Step, Token: 35}, 39); err == nil || !strings.Contains(err.Error(), "ahead") {
			t.Errorf("under another's seal: %v", err)
		}
	})
}

// TestSealRaces: the effect, or an unrelated change, lands between the seal's
// look and its write.
func TestSealRaces(t *testing.T) {
	faces(t, func(t *testing.T, face string) {
		x, r := newTarget(t), newRemediator(t)
		a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
		sealing := a
		sealing.Gate = func() error {
			_, err := r.Start(t.Context(), a)
			return err
		}
		if err := r.Seal(t.Context(), sealing, 30); err != nil {
			t.Error(err)
		}
		if p, err := r.Probe(t.Context(), a); err != nil || p.Phase != signalbox.Succeeded {
			t.Errorf("probe: %+v, %v", p, err)
		}
		b := claim(t, r, x.step(t, face, "replica-c"), "b1", 40)
		b.Gate = func() error { x.touch(valueB); return nil }
		if err := r.Seal(t.Context(), b, 50); err == nil {
			t.Error("sealed a target that never rests")
		}
	})
}

func TestProbe(t *testing.T) {
	cases := []struct {
		name, value, fence string
		sealed             signalbox.Token
		already            bool
		want               signalbox.Phase
	}{
		{"effect is there", valueB, `{"token":10,"action":"a1","value":"` + valueB + `","standing":true}`, 0, false, signalbox.Succeeded},
		{"effect, changed since", valueC, `{"token":10,"action":"a1","value":"` + valueB + `","standing":true}`, 0, false, signalbox.Succeeded},
		{"effect under a later seal", valueB, `{"token":30,"action":"a1","value":"` + valueB + `","sealed":"a1"}`, 30, false, signalbox.Succeeded},
		{"nothing there, not sealed", valueA, "", 0, false, signalbox.InDoubt},
		{"value without a fence", valueB, "", 0, false, signalbox.InDoubt},
		{"sealed", valueA, `{"token":30,"sealed":"a1"}`, 30, false, signalbox.NotStarted},
		{"sealed by yet another", valueA, `{"token":50,"sealed":"a1"}`, 30, false, signalbox.NotStarted},
		{"sealed, and set by a person", valueB, `{"token":30,"sealed":"a1"}`, 30, false, signalbox.NotStarted},
		{"seal is gone", valueA, "", 30, false, signalbox.InDoubt},
		{"written over by a later action", valueC, `{"token":40,"action":"a2","value":"` + valueC + `","standing":true}`, 0, false, signalbox.InDoubt},
		{"broken fence", valueA, `{"token":-1}`, 30, false, signalbox.InDoubt},
		{"was there already", valueB, "", 0, true, signalbox.Succeeded},
	}
	faces(t, func(t *testing.T, face string) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				x, r := newTarget(t), newRemediator(t)
				a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
				a.Sealed, a.Forecast.Already = c.sealed, c.already
				x.value, x.fence = c.value, c.fence
				p, err := r.Probe(t.Context(), a)
				if err != nil || p.Phase != c.want || c.name == "seal is gone" && !strings.Contains(p.Reason, "its seal is gone") {
					t.Errorf("got %+v, %v; want %s", p, err, c.want)
				}
				if _, _, n := x.state(); n != 0 {
					t.Error("the probe wrote")
				}
			})
		}
	})
}

// TestNoPlaceForAFence is class C: written if unchanged, read back, not sealed.
func TestNoPlaceForAFence(t *testing.T) {
	x, r := newTarget(t), newRemediator(t)
	x.bare = true
	a := claim(t, r, x.step(t, backendHTTP, "replica-b"), "a1", 10)
	if a.Forecast.Class != signalbox.ClassC || time.Duration(a.Forecast.Latency) != 30*time.Second {
		t.Errorf("forecast: %+v", a.Forecast)
	}
	if err := r.Seal(t.Context(), a, 20); err == nil {
		t.Error("sealed")
	}
	probe := func(want signalbox.Phase) {
		t.Helper()
		if p, err := r.Probe(t.Context(), a); err != nil || p.Phase != want {
			t.Errorf("got %+v, %v; want %s", p, err, want)
		}
	}
	probe(signalbox.InDoubt)
	a.ClaimedAt = now.Add(-sendBound - 30*time.Second)
	probe(signalbox.NotStarted)
	x.touch(valueC)
	probe(signalbox.InDoubt)
	x.touch(valueA)
	if _, err := r.Start(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	probe(signalbox.Succeeded)
	if v, _, n := x.state(); v != valueB || n != 1 {
		t.Errorf("value %q, %d writes", v, n)
	}
	b := claim(t, r, x.step(t, backendHTTP, "replica-c"), "b1", 20)
	b.Gate = func() error { x.touch(valueC); return nil } // a doubled delivery, perhaps
	if _, err := r.Start(t.Context(), b); err == nil || isFailure(err) {
		t.Errorf("the value wanted appears during the write: %v, want doubt", err)
	}
}

// TestInvariants drives one target by several processes that stop at any point,
// seal and retry: at most one effect an action, tokens that never decrease, and
// no effect after a seal that found none.
func TestInvariants(t *testing.T) {
	faces(t, func(t *testing.T, face string) {
		x, r := newTarget(t), newRemediator(t)
		step := map[string]signalbox.Step{}
		for name := range positions {
			step[name] = x.step(t, face, name)
		}
		rapid.Check(t, func(rt *rapid.T) { x.reset(); drive(rt, t, x, r, step) })
	})
}

func (x *target) reset() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.value, x.fence, x.writes, x.on, x.version = valueA, "", nil, nil, x.version+1
	var high signalbox.Token
	x.on = func(_ http.ResponseWriter, _ *http.Request) bool {
		if _, f, _ := x.state(); f.Token < high {
			panic(fmt.Sprintf("the token went back from %d to %d", high, f.Token))
		} else {
			high = f.Token
		}
		return false
	}
}

func drive(rt *rapid.T, t *testing.T, x *target, r *remediator, step map[string]signalbox.Step) {
	token := signalbox.Token(0)
	next := func() signalbox.Token { token += signalbox.Token(rapid.IntRange(1, 3).Draw(rt, "gap")); return token }
	for i := range rapid.IntRange(1, 5).Draw(rt, "actions") {
		to := rapid.SampledFrom([]string{"replica-a", "replica-b", "replica-c"}).Draw(rt, "to")
		f, err := r.Preview(t.Context(), step[to])
		if err != nil || f.Refused != "" || f.Already {
			continue
		}
		a := signalbox.Action{ID: signalbox.ActionID(fmt.Sprint("a", i)), Step: step[to], Forecast: f, Stage: signalbox.Claimed, Token: next(), ClaimedAt: now}
		_, _, before := x.state()
		settle(rt, t, r, a, next)
		effects := 0
		for _, w := range x.writes[before:] {
			if w != "seal" {
				effects++
			}
		}
		if value, fenced, _ := x.state(); effects > 1 || effects == 1 && (fenced.Action != a.ID || value != positions[to]) {
			rt.Fatalf("action %s: %d effects, %q, %+v", a.ID, effects, value, fenced)
		}
	}
}

// settle runs an action whose process stops before its send while others seal,
// look and retry.
func settle(rt *rapid.T, t *testing.T, r *remediator, a signalbox.Action, next func() signalbox.Token) {
	stopped := a
	stopped.Gate = func() error {
		for range rapid.IntRange(0, 3).Draw(rt, "successors") {
			if err := r.Seal(t.Context(), a, next()); err != nil {
				rt.Fatal(err)
			}
			if _, f, _ := sealedState(t, r, a); f.Action == a.ID {
				return nil
			}
			p, err := r.Probe(t.Context(), a)
			if err != nil || p.Phase != signalbox.NotStarted {
				rt.Fatalf("%+v, %v", p, err)
			}
			if rapid.Bool().Draw(rt, "retry") {
				again := a
				_, fenced, _ := sealedState(t, r, a)
				again.Sealed = fenced.Token
				if _, err := r.Start(t.Context(), again); err != nil {
					rt.Fatal(err)
				}
			}
		}
		return nil
	}
	_, _ = r.Start(t.Context(), stopped)
}

func sealedState(t *testing.T, r *remediator, a signalbox.Action) (string, fence.Fence, string) {
	t.Helper()
	_, b, _, err := r.open(a.Step)
	if err != nil {
		t.Fatal(err)
	}
	st, err := b.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st.value, st.fence, st.version
}

func FuzzFence(f *testing.F) {
	f.Add([]byte(`{"token":10,"action":"a1","value":"x","standing":true,"sealed":"a2"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		parsed, err := fence.Parse(b)
		if err != nil {
			return
		}
		if parsed.Token <= 0 {
			t.Fatalf("token %d", parsed.Token)
		}
		encoded, err := parsed.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := fence.Parse(encoded)
		if err != nil || !json.Valid(encoded) || again.Token != parsed.Token || again.Standing != parsed.Standing {
			t.Fatalf("%+v became %+v, %v", parsed, again, err)
		}
	})
}
