package rollout

import (
	"context"
	"fmt"

	signalbox "github.com/signalbox/signalbox"
)

// probe is certain once the action's fence is there, or its seal; then it tells
// how far the workload has come.
func (m *moving) probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	o, err := m.Read(ctx)
	if err != nil {
		return signalbox.Progress{}, err
	}
	f, blocked := m.Fence(o, m.aim.aspect)
	value := valueOf(o, m.aim.aspect)
	switch {
	case blocked != "":
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: blocked}, nil
	case f.Action == a.ID && value != f.Value:
		return m.done(o, fmt.Sprintf("%s was written, and someone else changed it since", m.aim.move)), nil
	case f.Action == a.ID, a.Forecast.Already && value == m.aim.value:
		return m.follow(a, o), nil
	}
	return f.Unwritten(a), nil
}

func (m *moving) done(o *object, detail string) signalbox.Progress {
	return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: signalbox.Receipt{At: m.now(), Version: o.ResourceVersion, Detail: fmt.Sprintf("%s: %s", m.Target(), detail)}}
}

// fell is what was written and did not come about. It has a receipt: there was an
// effect, so that nothing that it spent is given back.
func (m *moving) fell(o *object, why string) signalbox.Progress {
	p := m.done(o, why)
	p.Phase, p.Reason = signalbox.Fell, p.Receipt.Detail
	return p
}

// follow tells how far what was written has come.
func (m *moving) follow(a signalbox.Action, o *object) signalbox.Progress {
	left, failed := leftOf(o, m.aim.aspect)
	switch {
	case failed != "":
		return m.fell(o, fmt.Sprintf("%s was written, and the workload did not get there: %s", m.aim.move, failed))
	case left == "":
		return m.done(o, m.aim.move)
	case m.spec.Timeout > 0 && m.now().After(a.ClaimedAt.Add(m.spec.Timeout.Std())):
		return m.fell(o, fmt.Sprintf("%s was written, and is not done after %s: %s", m.aim.move, m.spec.Timeout, left))
	}
	return signalbox.Progress{Phase: signalbox.Running, Reason: left}
}

// leftOf says what is awaited until a written aspect has come about; failed, that
// it won't by itself.
func leftOf(o *object, aspect string) (left, failed string) {
	switch aspect {
	case aspectPaused, aspectUnschedulable:
		return "", ""
	case aspectReplicas:
		if left := o.Unseen(); left != "" {
			return left, ""
		}
		return o.Scaled(), ""
	case aspectRestart:
		if o.Unseen() == "" && o.Stuck() == "" && o.Status.RestartedAt != o.Spec.RestartAt {
			return "its pods are being replaced", ""
		}
	}
	return o.Left()
}
