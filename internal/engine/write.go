package engine

import (
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
)

// write gathers what one transaction is to say. Records are edited as copies:
// the State keeps the old ones until the store has the new.
type write struct {
	ifs     []store.Cond
	entries []journal.Record
	incs    map[signalbox.IncidentID]*signalbox.Incident
	acts    map[signalbox.ActionID]*signalbox.Action
	targets map[signalbox.Target]*signalbox.TargetState
	pages   map[string]*signalbox.Page
	pols    map[string]*signalbox.PolicyState
	asked   map[signalbox.ApprovalID]*signalbox.Approval
	others  []journal.Change
	deletes []signalbox.Key
	inbox   []string // records that are consumed
	opened  map[seriesKey]signalbox.IncidentID
	adopted []string        // direct pages that are put on record
	told    map[string]bool // pages whose body is made at the commit
}

func (w *write) entry(kind journal.Kind, inc signalbox.IncidentID, act signalbox.ActionID, data any) {
	w.entries = append(w.entries, journal.Record{Kind: kind, Incident: inc, Action: act, Data: data})
}

func (w *write) put(c journal.Change) { w.others = append(w.others, c) }

// require makes the transaction conditional on keys being as the State has
// them.
func (w *write) require(s *signalbox.State, keys ...signalbox.Key) {
	for _, k := range keys {
		w.ifs = append(w.ifs, store.Cond{Key: string(k), Rev: store.Revision(s.Rev[k])})
	}
}

func (w *write) size() int {
	return len(w.incs) + len(w.acts) + len(w.targets) + len(w.pages) + len(w.pols) + len(w.asked) + len(w.others) + len(w.entries)
}

// incident returns the copy of an incident that this write will put.
func (l *loop) incident(w *write, id signalbox.IncidentID) *signalbox.Incident {
	return edit(&w.incs, l.state.Incidents, id)
}

func (l *loop) action(w *write, id signalbox.ActionID) *signalbox.Action {
	return edit(&w.acts, l.state.Actions, id)
}

func (l *loop) target(w *write, t signalbox.Target) *signalbox.TargetState {
	ts := edit(&w.targets, l.state.Targets, t)
	ts.Target = t
	return ts
}

func (l *loop) policyState(w *write, name string) *signalbox.PolicyState {
	ps := edit(&w.pols, l.state.Policies, name)
	ps.Name = name
	return ps
}

func (l *loop) approval(w *write, id signalbox.ApprovalID) *signalbox.Approval {
	return edit(&w.asked, l.state.Approvals, id)
}

func (l *loop) page(w *write, key string) *signalbox.Page {
	p := edit(&w.pages, l.state.Pages, key)
	p.Key = key
	return p
}

// edit returns the copy in made, first copying it from kept (or from nothing).
func edit[K comparable, V any](made *map[K]*V, kept map[K]*V, k K) *V {
	if *made == nil {
		*made = map[K]*V{}
	}
	if v := (*made)[k]; v != nil {
		return v
	}
	v := new(V)
	if old := kept[k]; old != nil {
		*v = *old
	}
	(*made)[k] = v
	return v
}

// commit writes w with its journal entries, and takes the change into the
// State. False: the term is over.
func (l *loop) commit(w *write) bool {
	err := l.tryCommit(w)
	if err != nil && l.auth != nil {
		l.fail(fmt.Errorf("commit: %w", err))
	}
	return err == nil
}

// tryCommit is commit that leaves the term as it is; after an error other than
// journal.ErrTooLarge it must end, since what the store holds is not known.
func (l *loop) tryCommit(w *write) error {
	if l.auth == nil {
		return ErrNoTerm
	}
	l.tell(w)
	recs := w.records(l)
	fence := l.auth.lead.Fence()
	rev, err := l.e.o.Journal.Write(l.auth.ctx, &fence, w.ifs, recs, w.inbox)
	if err != nil {
		l.e.metrics.loopFailed("commit")
		return err
	}
	l.e.metrics.loopDone("commit", l.now())
	return l.took(w, recs, rev)
}

// records turns the edits into the changes of the last entry.
func (w *write) records(l *loop) []journal.Record {
	var changes []journal.Change
	for _, inc := range w.incs {
		changes = append(changes, journal.PutIncident(inc))
	}
	for _, a := range w.acts {
		changes = append(changes, journal.PutAction(a))
	}
	for _, t := range w.targets {
		changes = append(changes, journal.PutTarget(t))
	}
	for _, p := range w.pages {
		changes = append(changes, journal.PutPage(p))
	}
	for _, ps := range w.pols {
		changes = append(changes, journal.PutPolicy(ps))
	}
	for _, a := range w.asked {
		changes = append(changes, journal.PutApproval(a))
	}
	changes = append(changes, w.others...)
	if len(w.entries) == 0 && len(changes)+len(w.deletes) > 0 {
		w.entries = append(w.entries, journal.Record{Kind: journal.Housekeeping})
	}
	for i := range w.entries {
		w.entries[i].At = l.now()
	}
	if n := len(w.entries); n > 0 {
		w.entries[n-1].Put, w.entries[n-1].Delete = changes, w.deletes
	}
	return w.entries
}

// took applies what was committed to the State, and makes due what read it.
func (l *loop) took(w *write, recs []journal.Record, rev store.Revision) error {
	l.e.metrics.stale = true
	if len(w.pages)+len(w.deletes) > 0 {
		l.nextClimb, l.nextLate = time.Time{}, time.Time{}
	}
	for i := range recs {
		keys, err := l.e.o.Journal.Apply(l.state, recs[i].Changes(), rev)
		if err != nil {
			return fmt.Errorf("take in what was committed: %w", err)
		}
		for _, k := range keys {
			l.touch(k)
		}
	}
	for _, key := range w.adopted {
		delete(l.direct.sent, key)
	}
	for id := range w.incs {
		inc := l.state.Incidents[id]
		l.index.incident(inc, id)
		l.touchIncident(id)
		if inc != nil {
			l.touch(signalbox.SubjectKey(inc.Reading.Subject))
		}
	}
	for _, k := range w.deletes {
		l.index.forget(k)
	}
	return nil
}
