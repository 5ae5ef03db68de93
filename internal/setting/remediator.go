package setting

import (
	"context"
	"errors"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/reach"
)

// remediator flips switches. It keeps connections, and no state of actions; it
// is safe for concurrent use.
type remediator struct {
	now     func() time.Time
	clients *reach.Clients
	agent   string
}

var (
	_ signalbox.Remediator = (*remediator)(nil)
	_ signalbox.Sealer     = (*remediator)(nil)
	_ signalbox.Continuer  = (*remediator)(nil)
)

// open resolves a step: its spec, its backend and the value that it wants.
func (r *remediator) open(s signalbox.Step) (spec, backend, string, error) {
	sp, err := parseSpec(s.Spec)
	if err != nil {
		return spec{}, nil, "", reach.Refused("switch %q: %v", s.Name, err)
	}
	want, ok := sp.Positions[s.To]
	if n := len(sp.Stages); ok && n > 0 {
		ok = sp.Stages[n-1] == s.To
	}
	if !ok {
		return spec{}, nil, "", reach.Refused("switch %q: position %q is not listed", s.Name, s.To)
	}
	b, err := r.backend(sp)
	if err != nil {
		return spec{}, nil, "", reach.Refused("switch %q: %v", s.Name, err)
	}
	return sp, b, want, nil
}

// backend is where a spec's setting is.
func (r *remediator) backend(sp spec) (backend, error) {
	if s := sp.ConfigMap; s != nil {
		k, err := r.clients.Cluster(cluster.Access{Kubeconfig: s.Kubeconfig, InCluster: s.InCluster})
		if err != nil {
			return nil, err
		}
		return newConfigMap(*s, k)
	}
	if s := sp.Env; s != nil {
		k, err := r.clients.Cluster(cluster.Access{Kubeconfig: s.Kubeconfig, InCluster: s.InCluster})
		if err != nil {
			return nil, err
		}
		return newEnv(*s, k)
	}
	if sp.Redis != nil {
		return dialRedis(*sp.Redis, r.agent)
	}
	client, err := r.clients.HTTP(sp.HTTP.Client)
	if err != nil {
		return nil, err
	}
	return &httpSetting{spec: *sp.HTTP, client: client}, nil
}

// Preview reads the setting and what the daemon may do with it. What the
// target answers for sure (not there, not allowed) is Refused; when it can't
// be seen, that is an error.
func (r *remediator) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	sp, b, want, err := r.open(s)
	if err != nil {
		return signalbox.Forecast{}, err
	}
	f := signalbox.Forecast{At: r.now(), Targets: []signalbox.Target{b.target()}, Reach: b.reach()}
	if e, ok := b.(*env); ok { // one rollout of a workload at a time
		f.Targets, f.Takes = append(f.Targets, e.place.Target()), signalbox.Duration(sp.Env.Timeout.Std()+lastLook)
	}
	st, err := b.read(ctx)
	var failure *signalbox.Failure
	if errors.As(err, &failure) {
		f.Refused = failure.Error()
		return f, nil
	}
	if err != nil {
		return signalbox.Forecast{}, fmt.Errorf("switch %q: %w", s.Name, err)
	}
	f.Class, f.Latency = st.class, signalbox.Duration(st.latency)
	f.Found, f.Version, f.Position = st.value, st.version, sp.position(st.value)
	f.Already = st.blocked == "" && st.value == want && (sp.Expect != nil || st.left == "" && st.failed == "")
	if f.Position == "" {
		f.Found = reach.Shown(st.value)
	} else {
		f.ByHand = b.byHand(st.value)
	}
	if hand := st.hand(); hand != "" && st.blocked == "" && (sp.Expect == nil || !f.Already) {
		f.Hand = hand + "; to hand it back: " + b.handBack()
	}
	if f.Refused = obstacle(sp, b, st, f, want); f.Refused == "" && !f.Already {
		f.Refused = b.may(ctx)
	}
	refused, err := r.foresee(ctx, sp, &f)
	if err != nil {
		return signalbox.Forecast{}, fmt.Errorf("switch %q: %w", s.Name, err)
	}
	if f.Refused == "" && !f.Already {
		f.Refused = refused
	}
	if n := len(sp.Stages); n > 0 {
		f.Takes = signalbox.Duration(time.Duration(n-1)*sp.Every.Std() + stagesSlack)
		if f.Refused == "" && f.Class != signalbox.ClassA {
			f.Refused = "the target has no place for a fence, which stages need: see the page of the endpoint kind"
		}
	}
	f.Undo, err = undo(sp, s, f, want)
	return f, err
}

// obstacle says why what was found forbids the step; empty: nothing does. An
// undo whose value is there already has nothing to refuse.
func obstacle(sp spec, b backend, st state, f signalbox.Forecast, want string) string {
	switch {
	case st.blocked != "":
		return st.blocked
	case f.Position == "":
		return fmt.Sprintf("value %q is not one of the listed positions", reach.Shown(st.value))
	case sp.Expect != nil && f.Already:
		return ""
	case sp.Expect != nil && st.value != *sp.Expect:
		return fmt.Sprintf("value %q is not the one to take back, %q: someone else changed it", reach.Shown(st.value), reach.Shown(*sp.Expect))
	}
	if foreign := st.fence.Foreign(st.value); foreign != "" {
		return foreign + "; to hand it back: " + b.handBack()
	}
	if why := st.holdsOff(sp); why != "" || f.Already {
		return why
	}
	if st.unseen != "" && sp.Expect == nil {
		return st.unseen
	}
	if st.value == want {
		return fmt.Sprintf("it is at %s already, and its pods are not: %s%s", f.Position, st.left, st.failed)
	}
	return ""
}

// undo is the step that takes a throw back; nil for an undo, and where nothing
// would be thrown.
func undo(sp spec, s signalbox.Step, f signalbox.Forecast, want string) (*signalbox.Step, error) {
	if sp.Expect != nil || f.Already || f.Refused != "" {
		return nil, nil
	}
	raw, err := sp.undoing(want)
	if err != nil {
		return nil, fmt.Errorf("switch %q: undo: %w", s.Name, err)
	}
	back := s
	back.To, back.Spec, back.If = f.Position, raw, ""
	return &back, nil
}

// Start sets the value, if what it finds is what the forecast found, and
// nobody else has a hand on it. An error is a *signalbox.Failure unless the
// answer to a write was lost, or an earlier Start of the same action, not
// sealed since, may still come through.
func (r *remediator) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	receipt, err := r.start(ctx, a)
	return receipt, fence.InDoubt(a, err)
}

func (r *remediator) start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	sp, b, want, err := r.open(a.Step)
	if err != nil {
		return signalbox.Receipt{}, err
	}
	to := a.Step.To
	if len(sp.Stages) > 0 {
		to, want = sp.Stages[0], sp.Positions[sp.Stages[0]]
	}
	return fence.Writing[state]{
		Name: fmt.Sprintf("switch %q", a.Step.Name),
		Look: b.read,
		Held: func(st state) fence.Fence { return st.fence },
		Judge: func(st state, again bool) (signalbox.Receipt, bool, error) {
			if again && st.class == signalbox.ClassC && st.value == want {
				return signalbox.Receipt{}, false, fmt.Errorf("switch %q: the value wanted appeared during the write, and the target can't tell whose it is", a.Step.Name)
			}
			return r.judge(a, sp, st, want)
		},
		Put: func(ctx context.Context, st state) (signalbox.Receipt, error) {
			version, err := b.write(ctx, st, change{value: &want, fence: r.fence(a, sp, want, st.value)}, a.Gate)
			if err != nil {
				return signalbox.Receipt{}, err
			}
			return signalbox.Receipt{At: r.now(), Version: version, Detail: fmt.Sprintf("%s is at %s (was %s)", a.Step.Name, to, sp.position(st.value))}, nil
		},
	}.Do(ctx)
}

// judge holds a fresh look against the action: done where its effect is there
// or nothing is to do, an error where it must not be written, else neither.
func (r *remediator) judge(a signalbox.Action, sp spec, st state, want string) (receipt signalbox.Receipt, done bool, err error) {
	receipt = signalbox.Receipt{At: r.now(), Version: st.version}
	if st.fence.Action == a.ID && a.ID != "" {
		receipt.Detail = fmt.Sprintf("%s was put to %s before", a.Step.Name, a.Step.To)
		return receipt, true, nil
	}
	if reason := forbids(a, sp, st); reason != "" {
		return signalbox.Receipt{}, false, reach.Refused("switch %q: %s", a.Step.Name, reason)
	}
	if st.value == want {
		receipt.Detail = fmt.Sprintf("%s is at %s already: nothing was written", a.Step.Name, a.Step.To)
		return receipt, true, nil
	}
	return signalbox.Receipt{}, false, nil
}

// forbids says why the action must not write over what is there; empty: it may.
func forbids(a signalbox.Action, sp spec, st state) string {
	if st.blocked != "" {
		return st.blocked
	}
	if reason := st.fence.Ahead(a); reason != "" {
		return reason
	}
	switch {
	case a.Undoes != "" && st.fence.Action != "" && st.fence.Action != a.Undoes:
		return fmt.Sprintf("action %s wrote it last, not %s, which is to be taken back", st.fence.Action, a.Undoes)
	case st.value != a.Forecast.Found:
		return fmt.Sprintf("the value changed since the preview: it was %q, now it is %q", reach.Shown(a.Forecast.Found), reach.Shown(st.value))
	case sp.Expect != nil && st.value != *sp.Expect && !a.Forecast.Already:
		return fmt.Sprintf("value %q is not the one to take back, %q", reach.Shown(st.value), reach.Shown(*sp.Expect))
	case sp.position(st.value) == "":
		return fmt.Sprintf("value %q is not one of the listed positions", reach.Shown(st.value))
	}
	if foreign := st.fence.Foreign(st.value); foreign != "" {
		return foreign
	}
	return st.holdsOff(sp)
}
