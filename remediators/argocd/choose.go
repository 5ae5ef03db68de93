package argocd

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// choose finds the entry to go back to: the newest before the present one that
// has another revision, was deployed for at least so long without a break, and
// was not taken back. An empty refusal means that there is one.
func choose(history []entry, least time.Duration) (previous, present entry, refused string) {
	list := slices.Clone(history)
	slices.SortStableFunc(list, func(a, b entry) int { return cmp.Compare(b.ID, a.ID) }) // the newest first
	if len(list) == 0 {
		return entry{}, entry{}, "its history is empty"
	}
	present = list[0]
	passed := ""
	for i := 1; i < len(list); i++ {
		e := &list[i]
		if e.revision() == "" || e.revision() == present.revision() {
			continue
		}
		next := following(list, i)
		why := ""
		switch took := list[next].Deployed.Sub(e.Deployed); {
		case first(list, list[next].revision()) < first(list, e.revision()):
			why = fmt.Sprintf("id %d was followed by an older revision: it was taken back", e.ID)
		case e.Deployed.IsZero() || list[next].Deployed.IsZero() || took < least:
			why = fmt.Sprintf("id %d was deployed for %s, and must have been for %s", e.ID, took.Round(time.Minute), least)
		default:
			return *e, present, ""
		}
		if passed == "" {
			passed = ": " + why
		}
	}
	return entry{}, present, fmt.Sprintf("none of the %d entries of its history can be gone back to%s", len(list), passed)
}

// following is the index of the next newer entry with another revision.
func following(list []entry, i int) int {
	for j := i - 1; j > 0; j-- {
		if list[j].revision() != list[i].revision() {
			return j
		}
	}
	return 0
}

// first is the lowest id of a revision.
func first(list []entry, revision string) int64 {
	var id int64
	for i := range list {
		if list[i].revision() == revision {
			id = list[i].ID
		}
	}
	return id
}
