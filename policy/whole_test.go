package policy

import (
	"slices"
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"pgregory.net/rapid"
)

// whole checks what holds for any decision.
func whole(t *rapid.T, w *World, d signalbox.Decision) {
	if len(d.Because) == 0 {
		t.Fatalf("%s without a reason", d.Verdict)
	}
	if !d.Until.IsZero() && !d.Until.After(w.Now) {
		t.Fatalf("due at %s, now is %s\n%s", d.Until, w.Now, tell(d))
	}
	if !slices.IsSorted(d.Reads) || len(slices.Compact(slices.Clone(d.Reads))) != len(d.Reads) {
		t.Fatalf("reads are not a sorted set: %v", d.Reads)
	}
	for _, r := range d.Because {
		if r.Detail == "" || strings.HasSuffix(r.Detail, "; ") || !r.Passed && r.Lifts == "" {
			t.Fatalf("%s says nothing, or not what would change it: %+v\n%s", r.Guard, r, tell(d))
		}
	}
	inc := w.State.Incidents[d.Incident]
	switch d.Verdict {
	case signalbox.Escalate:
		if d.Page == nil || d.Page.Owner == "" || d.Page.Why == "" {
			t.Fatalf("a page to nobody or of nothing\n%s", tell(d))
		}
		toldOnce := d.Told != "" && !slices.Contains(inc.Told, d.Told)
		if inc.Page != "" && (d.GaveUp == "" || inc.GaveUp != "") && !toldOnce {
			t.Fatalf("pages a second time\n%s", tell(d))
		}
	case signalbox.Settle:
		if d.Takes == "" || d.Outcome == "" {
			t.Fatalf("settles nothing\n%s", tell(d))
		}
	case signalbox.Resolve:
		if d.End == signalbox.Open {
			t.Fatalf("resolves without an end\n%s", tell(d))
		}
	case signalbox.Act:
		if d.Plan == nil || d.Step == nil || d.Plan.Steps[d.Next].Hash() != unresolved(*d.Step).Hash() {
			t.Fatalf("acts without a whole plan\n%s", tell(d))
		}
	case signalbox.Undo:
		if d.Step == nil || d.Takes == "" {
			t.Fatalf("takes nothing back\n%s", tell(d))
		}
	}
}

// unresolved is a step as it stands in its plan: without what is filled in when
// it is taken.
func unresolved(s signalbox.Step) signalbox.Step {
	s.Items = nil
	return s
}
