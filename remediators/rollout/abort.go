package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
)

// aborting aborts or retries an Argo Rollout: its status, which takes no fence.
type aborting struct{ *moving }

// abortLatency is the longest that a write may take until it can be read back.
const abortLatency = 30 * time.Second

func (b *aborting) preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	f, err := b.moving.preview(ctx, s)
	f.Class, f.Latency = signalbox.ClassC, signalbox.Duration(abortLatency)
	if err == nil && f.Refused == "" && !f.Already && !b.api.May(ctx, "patch", b.resource, b.name, "status") {
		f.Refused, f.Undo = b.grant("patch", b.resource, "status"), nil
	}
	return f, err
}

func (b *aborting) start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	for range writeAttempts {
		st, err := b.look(ctx)
		switch {
		case err != nil:
			return signalbox.Receipt{}, reach.Unsent(err)
		case st.value == b.aim.value:
			return signalbox.Receipt{At: b.now(), Version: st.ResourceVersion, Detail: "is there already"}, nil
		case st.value != a.Forecast.Found:
			return signalbox.Receipt{}, reach.Refused("tool %q: it changed since the preview: it was %s, now it is %s", a.Step.Name, a.Forecast.Found, st.value)
		}
		next := &object{kind: b.kind}
		err = b.api.Patch(ctx, b.resource, b.name, "status", st.ResourceVersion, put(b.aim).ops, b.call("patch"), a.Gate, next)
		if errors.Is(err, reach.ErrConflict) {
			continue
		}
		if err != nil {
			return signalbox.Receipt{}, err
		}
		return signalbox.Receipt{At: b.now(), Version: next.ResourceVersion, Detail: b.wrote(st)}, nil
	}
	return signalbox.Receipt{}, reach.Refused("tool %q: %v, %d times in a row", a.Step.Name, reach.ErrConflict, writeAttempts)
}

func (b *aborting) probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	o, err := b.read(ctx)
	switch {
	case err != nil:
		return signalbox.Progress{}, err
	case o.value(aspectAbort) == b.aim.value:
		return b.done(o, b.aim.move), nil
	case b.now().Before(a.ClaimedAt.Add(abortLatency + sendBound)):
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "not written yet; it may be under way"}, nil
	}
	return signalbox.Progress{Phase: signalbox.NotStarted, Reason: fmt.Sprintf("what was found is still there, %s after the last moment of sending", abortLatency)}, nil
}

func (b *aborting) seal(context.Context, signalbox.Action, signalbox.Token) error {
	return errors.New("can't be sealed: a status has no place for a fence (class C)")
}
