package setting

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
)

func isFailure(err error) bool {
	var failure *signalbox.Failure
	return errors.As(err, &failure)
}

func TestFlipAndUndo(t *testing.T) {
	faces(t, func(t *testing.T, face string) {
		x, r := newTarget(t), newRemediator(t)
		a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
		if f := a.Forecast; f.Class != signalbox.ClassA || f.Found != valueA || f.Position != "replica-a" || f.Already || len(f.Targets) != 1 || f.Version == "" || f.ByHand == "" || f.Reach == "" {
			t.Errorf("forecast: %+v", f)
		}
		if _, _, writes := x.state(); writes != 0 {
			t.Fatal("the preview wrote")
		}
		if _, err := r.Start(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if v, f, n := x.state(); v != valueB || f != (fence.Fence{Token: 10, Action: "a1", Value: valueB, Was: valueA, Standing: true}) || n != 1 {
			t.Errorf("after the flip: %q %+v, %d writes", v, f, n)
		}
		u := undoOf(t, r, a, "a2", 20)
		if u.Step.To != "replica-a" || u.Step.Name != a.Step.Name || u.Step.Undo != signalbox.UndoAuto || u.Forecast.Undo != nil {
			t.Errorf("undo: %+v", u.Step)
		}
		if _, err := r.Start(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		if v, f, n := x.state(); v != valueA || f != (fence.Fence{Token: 20, Action: "a2", Value: valueA}) || n != 2 {
			t.Errorf("after the undo: %q %+v, %d writes", v, f, n)
		}
		if p, err := r.Probe(t.Context(), u); err != nil || p.Phase != signalbox.Succeeded {
			t.Errorf("probe: %+v, %v", p, err)
		}
	})
}

func TestStartTwiceWritesOnce(t *testing.T) {
	faces(t, func(t *testing.T, face string) {
		x, r := newTarget(t), newRemediator(t)
		a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
		for range 3 {
			if receipt, err := r.Start(t.Context(), a); err != nil || receipt.Detail == "" {
				t.Fatalf("%+v, %v", receipt, err)
			}
		}
		x.touch(valueC) // and not again after a person's change
		if _, err := r.Start(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if v, _, n := x.state(); n != 1 || v != valueC {
			t.Errorf("value %q, %d writes", v, n)
		}
	})
}

func TestPreviewRefuses(t *testing.T) {
	standing := `{"token":5,"action":"old","value":"` + valueA + `","standing":true}`
	cases := []struct {
		name, value, fence, want string
		already                  bool
	}{
		{"not listed", "pg-x:5432", "", `value "pg-x:5432" is not one of the listed positions`, false},
		{"a password is masked", "postgres://u:hunter2@pg/x", "", `value "postgres://u:xxxxx@pg/x" is not one`, false},
		{"foreign hand", valueC, standing, `someone else changed it since action old: it put "` + valueA + `" and "` + valueC + `" is there; to hand it back: `, false},
		{"foreign hand, already there", valueB, standing, "someone else changed it since action old", true},
		{"standing as we put it", valueA, standing, "", false},
		{"a throw taken back, then changed by hand", valueC, `{"token":5,"action":"old","value":"` + valueA + `"}`, "", false},
		{"not our fence", valueA, `{"token":"many"}`, "is not a fence of ours", false},
		{"fence without a token", valueA, `{}`, "must be above zero, got 0", false},
		{"already there", valueB, "", "", true},
	}
	faces(t, func(t *testing.T, face string) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				x, r := newTarget(t), newRemediator(t)
				x.value, x.fence = c.value, c.fence
				f, err := r.Preview(t.Context(), x.step(t, face, "replica-b"))
				if err != nil || c.want == "" && f.Refused != "" || !strings.Contains(f.Refused, c.want) || f.Already != c.already {
					t.Errorf("refused %q, already %t, %v; want %q, %t", f.Refused, f.Already, err, c.want, c.already)
				}
				if (f.Undo != nil) != (c.want == "" && !c.already) {
					t.Errorf("undo: %+v", f.Undo)
				}
				if strings.Contains(f.Refused+f.Found, "hunter2") {
					t.Errorf("shows a password: %+v", f)
				}
			})
		}
	})
}

func TestUndoYieldsToAPerson(t *testing.T) {
	faces(t, func(t *testing.T, face string) {
		x, r := newTarget(t), newRemediator(t)
		a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
		if _, err := r.Start(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		u := undoOf(t, r, a, "u1", 20)
		x.touch(valueC)
		if f, err := r.Preview(t.Context(), u.Step); err != nil || !strings.Contains(f.Refused, "someone else changed it") {
			t.Errorf("preview: %+v, %v", f, err)
		}
		if _, err := r.Start(t.Context(), u); !isFailure(err) {
			t.Errorf("start: %v", err)
		}
		x.touch(valueA) // taken back by hand: there is nothing left to do
		if f, err := r.Preview(t.Context(), u.Step); err != nil || f.Refused != "" || !f.Already {
			t.Errorf("preview after it was taken back: %+v, %v", f, err)
		}
		if _, _, n := x.state(); n != 1 {
			t.Errorf("%d writes", n)
		}
	})
}

func TestUndoOfAnother(t *testing.T) {
	faces(t, func(t *testing.T, face string) {
		x, r := newTarget(t), newRemediator(t)
		a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
		if _, err := r.Start(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		u := undoOf(t, r, a, "u1", 20)
		u.Undoes = "another"
		if _, err := r.Start(t.Context(), u); !isFailure(err) || !strings.Contains(err.Error(), "action a1 wrote it last") {
			t.Errorf("got %v", err)
		}
	})
}

// TestChangedAfterPreview: what Start finds is not what was forecast.
func TestChangedAfterPreview(t *testing.T) {
	faces(t, func(t *testing.T, face string) {
		x, r := newTarget(t), newRemediator(t)
		a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
		for _, found := range []string{valueB, valueC, "pg-x:5432"} {
			x.touch(found)
			if _, err := r.Start(t.Context(), a); !isFailure(err) || !strings.Contains(err.Error(), "changed since the preview") {
				t.Errorf("%s: %v", found, err)
			}
		}
		if _, _, n := x.state(); n != 0 {
			t.Errorf("%d writes", n)
		}
	})
}

// TestStartJudgesByItself: a Start whose forecast let it through all the same.
func TestStartJudgesByItself(t *testing.T) {
	cases := []struct{ name, value, fence, want string }{
		{"foreign hand", valueA, `{"token":5,"action":"old","value":"` + valueC + `","standing":true}`, "someone else changed it since action old"},
		{"not listed", "pg-x:5432", "", "is not one of the listed positions"},
		{"not our fence", valueA, "{}", "is not a fence of ours"},
	}
	faces(t, func(t *testing.T, face string) {
		for _, c := range cases {
			x, r := newTarget(t), newRemediator(t)
			a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
			x.value, x.fence, a.Forecast.Found = c.value, c.fence, c.value
			if _, err := r.Start(t.Context(), a); !isFailure(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %q", c.name, err, c.want)
			}
		}
		x, r := newTarget(t), newRemediator(t)
		a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
		u := signalbox.Action{ID: "u1", Undoes: "a1", Step: *a.Forecast.Undo, Token: 20, Forecast: signalbox.Forecast{Found: valueC}}
		x.touch(valueC)
		if _, err := r.Start(t.Context(), u); !isFailure(err) || !strings.Contains(err.Error(), "is not the one to take back") {
			t.Errorf("undo of another value: %v", err)
		}
	})
}

// TestUnrelatedChange: the version moves and the setting does not, before and
// during the write.
func TestUnrelatedChange(t *testing.T) {
	faces(t, func(t *testing.T, face string) {
		x, r := newTarget(t), newRemediator(t)
		a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
		gates := 0
		x.touch(valueA)
		a.Gate = func() error {
			if gates++; gates < 3 {
				x.touch(valueA)
			}
			return nil
		}
		if _, err := r.Start(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if v, _, n := x.state(); v != valueB || n != 1 || gates != 3 {
			t.Errorf("value %q, %d writes, %d gates", v, n, gates)
		}
		b := claim(t, r, x.step(t, face, "replica-c"), "a2", 20)
		b.Gate = func() error { x.touch(valueB); return nil }
		if _, err := r.Start(t.Context(), b); !isFailure(err) {
			t.Errorf("a target that never rests: %v", err)
		}
	})
}

// TestWrittenUnderUs: the setting itself changes between our look and our write.
func TestWrittenUnderUs(t *testing.T) {
	faces(t, func(t *testing.T, face string) {
		x, r := newTarget(t), newRemediator(t)
		a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
		a.Gate = func() error { x.touch(valueC); return nil }
		if _, err := r.Start(t.Context(), a); !isFailure(err) {
			t.Errorf("got %v", err)
		}
		if v, _, n := x.state(); v != valueC || n != 0 {
			t.Errorf("value %q, %d writes", v, n)
		}
		x.touch(valueA)
		a.Gate = func() error {
			x.fence = `{"token":5,"action":"other","value":"` + valueA + `"}`
			x.touch(valueA)
			return nil
		}
		if _, err := r.Start(t.Context(), a); !isFailure(err) || !strings.Contains(err.Error(), "at the same time") {
			t.Errorf("another fence: %v", err)
		}
	})
}

func TestGateHolds(t *testing.T) {
	held := errors.New("the kill switch is on")
	faces(t, func(t *testing.T, face string) {
		x, r := newTarget(t), newRemediator(t)
		a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
		a.Gate = func() error { return held }
		if _, err := r.Start(t.Context(), a); !isFailure(err) || !errors.Is(err, held) {
			t.Errorf("start: %v", err)
		}
		if err := r.Seal(t.Context(), a, 20); !errors.Is(err, held) {
			t.Errorf("seal: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		a.Gate = func() error { cancel(); return nil }
		x.answerWrites(func(http.ResponseWriter, *http.Request) { t.Error("sent after the end of its context") })
		if _, err := r.Start(ctx, a); !isFailure(err) || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if _, _, n := x.state(); n != 0 {
			t.Errorf("%d writes", n)
		}
	})
}

func TestTokenAhead(t *testing.T) {
	faces(t, func(t *testing.T, face string) {
		x, r := newTarget(t), newRemediator(t)
		a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
		for _, token := range []string{"10", "11", "9000"} {
			x.fence = `{"token":` + token + `,"action":"later","value":"` + valueA + `","standing":true}`
			if _, err := r.Start(t.Context(), a); !isFailure(err) || !strings.Contains(err.Error(), "was the store restored from an older copy?") {
				t.Errorf("token %s: %v", token, err)
			}
		}
		x.fence, a.Token = "", 0
		if _, err := r.Start(t.Context(), a); !isFailure(err) {
			t.Errorf("no token: %v", err)
		}
		if _, _, n := x.state(); n != 0 {
			t.Errorf("%d writes", n)
		}
	})
}

func TestMayNotPatch(t *testing.T) {
	x, r := newTarget(t), newRemediator(t)
	x.allowed = false
	f, err := r.Preview(t.Context(), x.step(t, backendConfigMap, "replica-b"))
	if err != nil || !strings.Contains(f.Refused, "grant verbs get and patch on configmaps with resourceNames [core-env] by a Role in namespace core") {
		t.Errorf("%+v, %v", f, err)
	}
}
