package engine_test

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// What was begun goes on at its target whatever is switched off here: the page
// about the kill switch, or about the kill file, names it.
func TestKillNamesWhatIsUnderWay(t *testing.T) {
	for name, kill := range map[string]func(w *world) error{
		"switch": func(w *world) error {
			return w.engine.Control(w.t.Context(), signalbox.Control{Kind: signalbox.Kill, Scope: "all", Who: "ann", Reason: "drill"})
		},
		"file": func(w *world) error { return os.WriteFile(w.kill, nil, 0o600) },
	} {
		for _, running := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w, j := replaying(t, replays())
					j.long = true
					if running {
						w.names("webhooks", "a", "b", "c")
					}
					if err := kill(w); err != nil {
						t.Fatal(err)
					}
					w.after(10 * time.Second)
					e := w.pager.last()
					if e.key != "signalbox-kill" || e.event != signalbox.PageTrigger {
						t.Fatalf("got a %s of %s", e.event, e.key)
					}
					want := "signalbox remediates nothing: "
					if running {
						want = "signalbox begins nothing more, and 1 under way are not stopped: "
					}
					if !strings.HasPrefix(e.body.Summary, want) {
						t.Errorf("summary %q, want %q", e.body.Summary, want)
					}
					done := strings.Join(e.body.Done, "\n")
					if said := strings.Contains(done, "replay to run: started; under way, and not stopped: action "); said != running {
						t.Errorf("a run is under way: %t, and it says %q", running, done)
					}
					j.with(func() { j.long = false })
					w.after(time.Minute)
					if want := map[bool]string{true: "a:1 b:1"}[running]; j.each() != want {
						t.Errorf("runs %q, want %q", j.each(), want)
					}
					w.audit(nil)
				})
			})
		}
	}
}
