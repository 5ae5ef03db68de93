package setting

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signalbox/signalbox/internal/reach"
)

// A flip by another while a throw of ours stands is a hand, also before the way
// back; putting back what the throw found is not.
func TestHandOnWhatWeThrew(t *testing.T) {
	faces(t, func(t *testing.T, face string) {
		x, r := newTarget(t), newRemediator(t)
		a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
		if a.Forecast.Hand != "" {
			t.Errorf("a hand before anything was thrown: %s", a.Forecast.Hand)
		}
		if _, err := r.Start(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			value         string
			forward, back bool
		}{{valueB, false, false}, {valueA, false, false}, {valueC, true, true}, {"pg-x:5432", true, true}} {
			x.touch(c.value)
			for back, want := range map[bool]bool{false: c.forward, true: c.back} {
				s := x.step(t, face, "replica-c")
				if back {
					s = *a.Forecast.Undo
				}
				f, err := r.Preview(t.Context(), s)
				if err != nil || (f.Hand != "") != want {
					t.Errorf("at %s, way back %t: hand %q, %v; want one: %t", c.value, back, f.Hand, err, want)
				}
				if want && (!strings.Contains(f.Hand, "since action a1") || !strings.Contains(f.Hand, "to hand it back: ")) {
					t.Errorf("got %q", f.Hand)
				}
			}
		}
	})
}

// What was taken back, or never ours, is nobody's hand.
func TestNoHandWithoutAThrowOfOurs(t *testing.T) {
	for name, fence := range map[string]string{
		"no fence":   "",
		"taken back": `{"token":5,"action":"u1","value":"` + valueA + `"}`,
		"not ours":   `{"token":"many"}`,
	} {
		faces(t, func(t *testing.T, face string) {
			x, r := newTarget(t), newRemediator(t)
			x.value, x.fence = valueC, fence
			if f, err := r.Preview(t.Context(), x.step(t, face, "replica-b")); err != nil || f.Hand != "" {
				t.Errorf("%s: hand %q, %v", name, f.Hand, err)
			}
		})
	}
}

func TestEditor(t *testing.T) {
	at := func(minute int) *metav1.Time {
		m := metav1.NewTime(now.Add(time.Duration(minute) * time.Minute))
		return &m
	}
	entry := func(manager, fields string, at *metav1.Time) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Time: at, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	const ours = `{"f:data":{"f:KEY":{}}}`
	for want, fields := range map[string][]metav1.ManagedFieldsEntry{
		"": {
			entry(reach.FieldManager, ours, at(1)), entry("kubectl-patch", `{"f:data":{"f:OTHER":{}}}`, at(2)),
			entry("x", `not JSON`, at(3)),
			{Manager: "y", Time: at(4)},
		},
		`"kubectl-patch" at 2026-05-01 12:02:00Z`: {entry("argocd", ours, at(1)), entry("kubectl-patch", ours, at(2)), entry(reach.FieldManager, ours, at(3))},
		`"argocd"`: {entry("argocd", ours, nil)},
	} {
		if got := editor(fields, "KEY"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
