package rollout

import (
	"context"
	"fmt"
	"strconv"

	signalbox "github.com/signalbox/signalbox"
)

// probe is certain once the action's fence is there, or its seal; then it tells
// how far the workload has come.
func (m *moving) probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	o, err := m.read(ctx)
	if err != nil {
		return signalbox.Progress{}, err
	}
	f, blocked := m.fence(o, m.aim.aspect)
	value := o.value(m.aim.aspect)
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
	return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: signalbox.Receipt{At: m.now(), Version: o.ResourceVersion, Detail: fmt.Sprintf("%s: %s", m.target(), detail)}}
}

// follow tells how far what was written has come.
func (m *moving) follow(a signalbox.Action, o *object) signalbox.Progress {
	left, failed := o.left(m.aim.aspect)
	switch {
	case failed != "":
		return signalbox.Progress{Phase: signalbox.Fell, Reason: fmt.Sprintf("%s: %s was written, and the workload did not get there: %s", m.target(), m.aim.move, failed)}
	case left == "":
		return m.done(o, m.aim.move)
	case m.spec.Timeout > 0 && m.now().After(a.ClaimedAt.Add(m.spec.Timeout.Std())):
		return signalbox.Progress{Phase: signalbox.Fell, Reason: fmt.Sprintf("%s: %s was written, and is not done after %s: %s", m.target(), m.aim.move, m.spec.Timeout, left)}
	}
	return signalbox.Progress{Phase: signalbox.Running, Reason: left}
}

// left says what is awaited until a written aspect has come about; failed, that
// it won't by itself.
func (o *object) left(aspect string) (left, failed string) {
	switch aspect {
	case aspectPaused, aspectUnschedulable:
		return "", ""
	}
	if o.Status.ObservedGeneration < generation(o.Generation) {
		return "its controller has not seen it yet", ""
	}
	if aspect == aspectReplicas {
		return o.scaled(), ""
	}
	for _, c := range o.Status.Conditions {
		if c.Type == "Progressing" && c.Status == "False" && c.Reason == "ProgressDeadlineExceeded" {
			return "", c.Reason
		}
	}
	switch o.kind {
	case kindDaemonSet:
		return short(o.Status.Updated, o.Status.Available, o.Status.Desired), ""
	case kindStatefulSet:
		if o.Status.CurrentRevision != o.Status.UpdateRevision {
			return short(o.Status.UpdatedReplicas, o.Status.ReadyReplicas, o.replicas()) + " (its rolling update goes on)", ""
		}
		return short(o.replicas(), o.Status.ReadyReplicas, o.replicas()), ""
	case kindArgo:
		return o.argo(aspect)
	}
	if o.Status.Replicas > o.Status.UpdatedReplicas {
		return strconv.Itoa(int(o.Status.Replicas-o.Status.UpdatedReplicas)) + " old pods are still there", ""
	}
	return short(o.Status.UpdatedReplicas, o.Status.AvailableReplicas, o.replicas()), ""
}

func (o *object) scaled() string {
	ready := o.Status.ReadyReplicas
	if o.kind == kindArgo {
		ready = o.Status.AvailableReplicas
	}
	if o.Status.Replicas > o.replicas() {
		return strconv.Itoa(int(o.Status.Replicas-o.replicas())) + " pods are still to go"
	}
	return short(o.Status.Replicas, ready, o.replicas())
}

func (o *object) argo(aspect string) (left, failed string) {
	switch {
	case aspect == aspectRestart && o.Status.RestartedAt != o.Spec.RestartAt:
		return "its pods are being replaced", ""
	case o.Status.Phase == "Degraded":
		return "", "Degraded " + o.Status.Message
	case o.Status.Phase != "Healthy":
		return "its phase is " + o.Status.Phase + " " + o.Status.Message, ""
	}
	return "", ""
}

// short says how many of the pods wanted are not updated or not available.
func short(updated, available, want int32) string {
	if updated < want {
		return fmt.Sprintf("%d of %d pods are updated", updated, want)
	}
	if available < want {
		return fmt.Sprintf("%d of %d pods are available", available, want)
	}
	return ""
}
