package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

// A claim that no transaction can hold, since too many policies may be meant, is
// paged once and left to a person; the term and all else goes on.
func TestClaimTooLargeIsPagedAndCostsNoTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := []policy.Policy{flipPolicy()}
		for i := range 140 {
			p := flipPolicy()
			p.Name, p.When = fmt.Sprintf("other-%d", i), `value > 1000.0`
			all = append(all, p)
		}
		w := newWorld(t, all...)
		w.start()
		w.after(time.Minute)
		w.make(readsLag, "db/eu", 5)
		w.after(2 * time.Minute)
		expect(t, "effects", w.target.log(), "")
		if !w.status().Leading {
			t.Error("the term is over")
		}
		if n := strings.Count(w.pager.log(), string(signalbox.PageTrigger)); n != 1 {
			t.Errorf("pages: got %d of %q, want one", n, w.pager.log())
		}
		if incs := w.status().Incidents; len(incs) != 1 || !strings.Contains(incs[0].GaveUp, "one transaction") {
			t.Errorf("the incident must say why: %+v", incs)
		}
		w.audit(nil)
	})
}
