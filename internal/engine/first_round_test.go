package engine_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// An alert in the first moments after a start, whose switch is proved healthy by
// a detector that was not asked yet: it is acted on with the first round, and
// nobody is paged for what was about to be known. Where the round does not come,
// the owner is paged when the warm-up is over.
func TestAlertBeforeTheFirstRound(t *testing.T) {
	for name, comes := range map[string]bool{"it comes": true, "it does not": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := flipPolicy()
				p.On = []string{alerts}
				w := newWorld(t, p)
				seen := w.ill[replicaLag]
				w.ill[replicaLag] = nil
				w.start()
				defer w.halt()
				w.receive(alert(time.Now(), signalbox.Breached))
				w.after(7 * time.Second)
				expect(t, "pages before the first round", w.pager.log(), "")
				expect(t, "effects before it", w.target.log(), "")
				if comes {
					w.mu.Lock()
					w.ill[replicaLag] = seen
					w.mu.Unlock()
					w.after(5 * time.Second)
					expect(t, "effects after it", w.target.log(), "b")
					expect(t, "pages after it", w.pager.log(), "")
					return
				}
				w.after(9 * time.Second)
				expect(t, "pages after the warm-up", w.pager.log(), "trigger")
				if body := w.pager.last().body; !strings.Contains(body.Summary, "no reading of replica-lag") {
					t.Errorf("the page must tell what is not known, got %q", body.Summary)
				}
			})
		})
	}
}
