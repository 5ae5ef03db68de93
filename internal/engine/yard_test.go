package engine_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/policy"
)

// yard is a remediator with several switches, by their names.
type yard map[string]*points

var errNoSwitch = errors.New("no such switch")

func newYard(w *world, names ...string) yard {
	y := yard{}
	for _, name := range names {
		p := newPoints(w, signalbox.ClassA)
		p.at = signalbox.Target("switch " + name)
		y[name] = p
	}
	w.set.Remediators["endpoint"] = y
	return y
}

// Preview implements signalbox.Remediator.
func (y yard) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	if y[s.Name] == nil {
		return signalbox.Forecast{}, errNoSwitch
	}
	return y[s.Name].Preview(ctx, s)
}

// Start implements signalbox.Remediator.
func (y yard) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	return y[a.Step.Name].Start(ctx, a)
}

// Probe implements signalbox.Remediator.
func (y yard) Probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	return y[a.Step.Name].Probe(ctx, a)
}

// Seal implements signalbox.Sealer.
func (y yard) Seal(ctx context.Context, a signalbox.Action, t signalbox.Token) error {
	return y[a.Step.Name].Seal(ctx, a, t)
}

// order tells the effects on all switches, in the order of time.
func (y yard) order() string {
	type effect struct {
		name string
		throw
	}
	var all []effect
	for name, p := range y {
		p.with(func() {
			for _, e := range p.effects {
				all = append(all, effect{name, e})
			}
		})
	}
	slices.SortFunc(all, func(a, b effect) int { return cmp.Compare(a.n, b.n) })
	var out []string
	for _, e := range all {
		out = append(out, e.name+":"+e.to)
	}
	return strings.Join(out, " ")
}

// each tells the effects on each switch, in the order of their names.
func (y yard) each() string {
	var out []string
	for name, p := range y {
		out = append(out, name+":"+p.log())
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func (y yard) audit(w *world) {
	w.t.Helper()
	w.audit(nil)
	for _, p := range y {
		p.with(func() {
			for _, wrong := range p.wrong {
				w.t.Error(wrong)
			}
		})
	}
}

// on is a step on a switch of its own.
func on(name string, flow signalbox.Flow) signalbox.Step {
	s := flipPolicy().Runbook[0]
	s.Name, s.Flow = name, flow
	return s
}

// runs is a policy of several steps.
func runs(steps ...signalbox.Step) policy.Policy {
	p := flipPolicy()
	p.Cooldown, p.Budget, p.Runbook = 0, nil, steps
	return p
}

// killAt ends the process right after the n-th commit about an incident or an
// action, whose answer it does not get; reached tells whether there was one.
func (w *world) killAt(n int) (reached *atomic.Bool) {
	reached = &atomic.Bool{}
	var seen atomic.Int64
	w.commit = func(ctx context.Context, txn store.Txn) (store.Revision, error) {
		rev, err := w.store.Commit(ctx, txn)
		about := slices.ContainsFunc(txn.Puts, func(p store.Put) bool {
			return strings.HasPrefix(p.Key, signalbox.IncidentPrefix) || strings.HasPrefix(p.Key, signalbox.ActionPrefix)
		})
		if err != nil || !about || seen.Add(1) != int64(n) {
			return rev, err
		}
		w.mu.Lock()
		w.line.cut.Store(true)
		w.mu.Unlock()
		reached.Store(true)
		return 0, store.ErrUnavailable
	}
	return reached
}

// lives lets time pass, and starts the process again once it was killed.
func (w *world) lives(during time.Duration, killed *atomic.Bool) {
	again := false
	for range int(during / time.Second) {
		w.after(time.Second)
		if killed.Load() && !again {
			again = true
			w.die()
			w.commit = nil
			w.start()
		}
	}
}

// ineffective runs a runbook against a breach that nothing helps, with a kill at the
// n-th commit (0: none); reached tells whether it came to that.
func (w *world) ineffective(n int) (reached bool) {
	killed := w.killAt(n)
	w.start()
	w.after(20 * time.Second)
	w.make(readsLag, "db/eu", 5)
	w.lives(8*time.Minute, killed)
	return killed.Load()
}

// killedAnywhere runs a story without a kill, and then with one at each commit;
// check looks at the end of each.
func killedAnywhere(t *testing.T, story func(t *testing.T, n int) (reached bool)) {
	t.Helper()
	story(t, 0)
	kills := 0
	for n := 1; story(t, n); n++ {
		kills++
	}
	if kills < 5 {
		t.Errorf("killed at %d commits only", kills)
	}
	t.Logf("killed at each of %d commits", kills)
}
