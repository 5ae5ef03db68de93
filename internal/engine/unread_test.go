package engine_test

import (
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/internal/engine"
)

// without puts a set in force that has no detector of a name, and may get those
// that begin so.
func (w *world) without(t *testing.T, detector string, unread ...string) {
	t.Helper()
	set := *w.set
	set.Detectors = maps.Clone(set.Detectors)
	delete(set.Detectors, detector)
	set.Unread = unread
	if err := w.engine.Swap(t.Context(), &set); err != nil {
		t.Fatal(err)
	}
	w.after(time.Second)
}

// An incident whose detector is not known yet is not over for that; once it is
// known to be gone it ends as expired, and that is told.
func TestIncidentOfADetectorThatMayComeStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := exchange(t)
		w.make(plainOne, "queue/psp", 9)
		w.after(20 * time.Second)
		id := ids(w.status())
		w.without(t, plainOne, plainOne[:3])
		if got := ids(w.status()); got != id {
			t.Errorf("open: got %q, want %q", got, id)
		}
		w.without(t, plainOne, "another/")
		if open := w.status().Incidents; len(open) != 0 {
			t.Errorf("open: %+v", open)
		}
		w.after(time.Minute)
		expect(t, "accepted", p.log(), "trigger resolve")
		ended := false
		for _, e := range w.entries() {
			ended = ended || strings.Contains(string(e.Data), "expired") && strings.Contains(string(e.Data), "no longer has")
		}
		if !ended {
			t.Error("the journal must tell that its detector is gone")
		}
		w.audit(nil)
	})
}

func TestMayCome(t *testing.T) {
	set := &engine.Set{Unread: []string{"cluster/core/", "other/"}}
	for name, want := range map[string]bool{"cluster/core/lag/g/A": true, "other/x": true, "cluster/payments/lag/g/A": false, "cluster/core": false} {
		if set.MayCome(name) != want {
			t.Errorf("%s: got %t", name, !want)
		}
	}
}
