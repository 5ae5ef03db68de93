package setting

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/reach"
)

// A step may go through stages: a limit that is lifted all at once would let
// through at once what it held back. Start writes the first, Continue each next
// one, and the fence at the target says which it is and since when: so whoever
// leads goes on from there.

// stagesSlack is how much longer than its stages a step may take.
const stagesSlack = 10 * time.Minute

// fence is what an action leaves with a value, with its time where it is in
// stages.
func (r *remediator) fence(a signalbox.Action, sp spec, value, found string) fence.Fence {
	f := fence.Written(a, value, found)
	if len(sp.Stages) > 0 {
		f.At = r.now().UTC().Truncate(time.Second)
	}
	return f
}

// onItsWay tells of an action whose write stands at a stage before its last;
// ok is false where it does not.
func (r *remediator) onItsWay(a signalbox.Action, sp spec, st state) (p signalbox.Progress, ok bool) {
	at := sp.stage(st.value)
	if st.fence.Action != a.ID || st.fence.Value != st.value || at < 0 || at == len(sp.Stages)-1 {
		return p, false
	}
	next := st.fence.At.Add(sp.Every.Std())
	return signalbox.Progress{
		Phase: signalbox.Running, Next: !r.now().Before(next),
		Reason: fmt.Sprintf("%s is at %s, and goes to %s at %s", a.Step.Name, sp.Stages[at], sp.Stages[at+1], next.UTC().Format(time.TimeOnly)+"Z"),
	}, true
}

// stage is which stage has the value; -1: none.
func (s spec) stage(value string) int {
	return slices.IndexFunc(s.Stages, func(name string) bool { return s.Positions[name] == value })
}

// Continue writes the next stage of an action that is on its way, or restarts the
// next workload, if it is due.
// A value or a fence that is not the action's own is left alone.
func (r *remediator) Continue(ctx context.Context, a signalbox.Action) error {
	sp, b, _, err := r.open(a.Step)
	if err != nil {
		return err
	}
	st, err := b.read(ctx)
	if err != nil {
		return reach.Unsent(err)
	}
	if len(sp.restarts()) > 0 {
		if st.fence.Action != a.ID || st.value != sp.Positions[a.Step.To] {
			return nil
		}
		return r.restartNext(ctx, a, sp)
	}
	p, ok := r.onItsWay(a, sp, st)
	switch {
	case !ok || !p.Next:
		return nil
	case st.blocked != "":
		return reach.Refused("switch %q: %s", a.Step.Name, st.blocked)
	case st.fence.Token > fence.TokenOf(a) && st.fence.Sealed != a.ID:
		return reach.Refused("switch %q: %s", a.Step.Name, st.fence.Ahead(a))
	}
	want := sp.Positions[sp.Stages[sp.stage(st.value)+1]]
	f := r.fence(a, sp, want, st.value)
	f.Token, f.Sealed = max(f.Token, st.fence.Token), st.fence.Sealed
	_, err = b.write(ctx, st, change{value: &want, fence: f}, a.Gate)
	if errors.Is(err, reach.ErrConflict) {
		return reach.Refused("switch %q: %v", a.Step.Name, err)
	}
	return err
}
