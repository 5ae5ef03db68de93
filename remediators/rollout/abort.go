package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/reach"
)

// aborting aborts or retries an Argo Rollout: its status, which takes no fence.
type aborting struct{ *moving }

// abortLatency is the longest that a write may take until it can be read back.
const abortLatency = 30 * time.Second

func (b *aborting) preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	f, err := b.moving.preview(ctx, s)
	f.Class, f.Latency = signalbox.ClassC, signalbox.Duration(abortLatency)
	if err == nil && f.Refused == "" && !f.Already && !b.API.May(ctx, "patch", b.Resource, b.Name, "status") {
		f.Refused, f.Undo = b.Grant("patch", b.Resource, "status"), nil
	}
	return f, err
}

func (b *aborting) start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	return fence.Writing[state]{
		Name: fmt.Sprintf("tool %q", a.Step.Name),
		Look: b.look,
		Judge: func(st state, _ bool) (receipt signalbox.Receipt, done bool, err error) {
			switch st.value {
			case b.aim.value:
				return signalbox.Receipt{At: b.now(), Version: st.ResourceVersion, Detail: "is there already"}, true, nil
			case a.Forecast.Found:
				return receipt, false, nil
			}
			return receipt, false, reach.Refused("tool %q: it changed since the preview: it was %s, now it is %s", a.Step.Name, a.Forecast.Found, st.value)
		},
		Put: func(ctx context.Context, st state) (signalbox.Receipt, error) {
			next := &object{Kind: b.Kind}
			if err := b.API.Patch(ctx, b.Resource, b.Name, "status", st.ResourceVersion, put(b.aim).ops, b.Call("patch"), a.Gate, next); err != nil {
				return signalbox.Receipt{}, err
			}
			return signalbox.Receipt{At: b.now(), Version: next.ResourceVersion, Detail: b.wrote(st)}, nil
		},
	}.Do(ctx)
}

func (b *aborting) probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	o, err := b.Read(ctx)
	switch {
	case err != nil:
		return signalbox.Progress{}, err
	case valueOf(o, aspectAbort) == b.aim.value:
		return b.done(o, b.aim.move), nil
	case b.now().Before(a.ClaimedAt.Add(abortLatency + sendBound)):
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "not written yet; it may be under way"}, nil
	}
	return signalbox.Progress{Phase: signalbox.NotStarted, Reason: fmt.Sprintf("what was found is still there, %s after the last moment of sending", abortLatency)}, nil
}

func (b *aborting) seal(context.Context, signalbox.Action, signalbox.Token) error {
	return errors.New("can't be sealed: a status has no place for a fence (class C)")
}
