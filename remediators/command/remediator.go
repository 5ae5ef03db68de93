package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
	"github.com/signalbox/signalbox/internal/runner"
)

// remediator runs programs. It keeps no state of actions; it is safe for
// concurrent use.
type remediator struct {
	now     func() time.Time
	allowed bool
	dir     runner.Dir
}

var _ signalbox.Remediator = (*remediator)(nil)

func open(env kind.Env) (signalbox.Remediator, error) {
	if env.Now == nil {
		return nil, errors.New("command: a clock must be given")
	}
	return &remediator{now: env.Now, allowed: env.AllowCommands, dir: runner.Dir(env.Commands)}, nil
}

// run is a step made ready.
type run struct {
	*spec
	*place
	argv []string
	home string // the identity of the directory of records
}

// prepare reads all that a run needs of this host. Its error is definite.
func (r *remediator) prepare(s *signalbox.Step) (*run, error) {
	refused := func(err error) (*run, error) { return nil, reach.Refused("tool %q: %v", s.Name, err) }
	if !r.allowed {
		return refused(errors.New("the daemon was started without --allow-commands, and runs no program on its own host"))
	}
	sp, err := parseSpec(s.Spec)
	if err != nil {
		return refused(err)
	}
	x := &run{spec: sp}
	var why string
	if x.argv, why = arguments(sp, s); why != "" {
		return refused(errors.New(why))
	}
	if x.place, err = sp.look(); err != nil {
		return refused(err)
	}
	if why := runner.MayBecome(); !x.own && why != "" {
		return refused(fmt.Errorf("it can't be run as user %s: %s. Give the daemon that, or set user to its own", sp.User, why))
	}
	if x.home, err = r.dir.Identity(); err != nil {
		return refused(fmt.Errorf("the directory of records: %w", err))
	}
	return x, nil
}

// Preview reads what would be run, as whom, and what forbids it. It begins
// nothing, and writes nothing.
func (r *remediator) Preview(_ context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	f := signalbox.Forecast{
		At: r.now(), Class: signalbox.ClassC, Targets: []signalbox.Target{target(s.Name)}, Latency: signalbox.Duration(runner.Latency),
	}
	x, err := r.prepare(&s)
	var failure *signalbox.Failure
	switch {
	case errors.As(err, &failure):
		f.Refused = failure.Error()
		return f, nil
	case err != nil:
		return signalbox.Forecast{}, err
	}
	f.Found, f.Version, f.Reach = "program "+x.digest(x.spec, x.argv), x.home, x.reach()
	f.Takes = signalbox.Duration(x.Timeout.Std() + 2*time.Minute)
	if x.Approval {
		f.NeedsApproval = "the tool says approval: required"
		if n := len(s.Items); n > 0 {
			f.NeedsApproval = fmt.Sprintf("it is run with %d ids, and the tool asks for approval", n)
		}
	}
	return f, nil
}

func target(name string) signalbox.Target { return signalbox.Target("command " + name) }

// Start puts the run on record and begins it, once for the action's id.
func (r *remediator) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	x, err := r.prepare(&a.Step)
	if known, receipt, knownErr := r.known(&a); known {
		return receipt, knownErr
	}
	again := a.Stage == signalbox.Started || a.Stage == signalbox.Doubt
	switch {
	case again:
		return signalbox.Receipt{}, errors.New("it may have been begun before, and is not begun again")
	case err != nil:
		return signalbox.Receipt{}, err
	case x.home != a.Forecast.Version:
		return signalbox.Receipt{}, reach.Refused("tool %q: it was previewed on %s, and this is %s", a.Step.Name, a.Forecast.Version, x.home)
	case a.Forecast.Found != "program "+x.digest(x.spec, x.argv):
		return signalbox.Receipt{}, reach.Refused("tool %q: the program, its user or its arguments changed since the preview", a.Step.Name)
	}
	err = r.dir.Start(x.order(a.ID), r.now(), func() error { return reach.Pass(ctx, a.Gate) })
	if errors.Is(err, runner.ErrKnown) { // another Start of the same action was quicker
		_, receipt, err := r.known(&a)
		return receipt, err
	}
	if err != nil {
		return signalbox.Receipt{}, reach.Unsent(err)
	}
	return r.receipt(x.home, "begun: "+shown(x.argv)), nil
}

// known tells what is on record of an action; false: there is nothing.
func (r *remediator) known(a *signalbox.Action) (bool, signalbox.Receipt, error) {
	seen, err := r.dir.Look(string(a.ID))
	switch {
	case err != nil:
		return true, signalbox.Receipt{}, fmt.Errorf("what is on record of it can't be read: %w", err)
	case seen.State == runner.Absent:
		return false, signalbox.Receipt{}, nil
	case seen.State == runner.Never:
		return true, signalbox.Receipt{}, reach.Refused("tool %q: it was not begun: %s", a.Step.Name, reach.Shown(seen.End.Never))
	case seen.State == runner.Lost:
		return true, signalbox.Receipt{}, errors.New(lost(&seen))
	}
	return true, r.receipt(a.Forecast.Version, "begun: "+shown(seen.Argv)), nil
}

func (r *remediator) receipt(home, detail string) signalbox.Receipt {
	return signalbox.Receipt{At: r.now(), Version: home, Detail: detail}
}

// order is what the runner is told.
func (x *run) order(id signalbox.ActionID) runner.Order {
	o := runner.Order{
		ID: string(id), Argv: x.argv, Dir: x.Dir, Env: x.Env, EnvFiles: x.EnvFiles, Timeout: x.Timeout.Std(),
		Limits: runner.Limits{
			Memory: x.Memory, CPU: x.CPU.Std(), FileSize: x.FileSize, OpenFiles: uint64(x.OpenFiles), Processes: uint64(x.Processes),
		},
	}
	if !x.own {
		o.User = &runner.User{UID: x.uid, GID: x.gid}
	}
	return o
}

// Probe reads what is on record, on the host and in the directory where it would
// be. Elsewhere nothing is known.
func (r *remediator) Probe(_ context.Context, a signalbox.Action) (signalbox.Progress, error) {
	doubt := func(format string, args ...any) (signalbox.Progress, error) {
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: fmt.Sprintf(format, args...)}, nil
	}
	home, err := r.dir.Identity()
	switch {
	case err != nil:
		return doubt("the directory of records can't be read: %v", err)
	case home != a.Forecast.Version:
		return doubt("it was begun on %s, and this is %s: whether it ran is on record there. Look, and settle it", a.Forecast.Version, home)
	}
	seen, err := r.dir.Look(string(a.ID))
	if err != nil {
		return doubt("what is on record of it can't be read: %v", err)
	}
	switch seen.State {
	case runner.Absent:
		if r.now().Sub(a.ClaimedAt) > runner.Keep-24*time.Hour {
			return doubt("it was claimed at %s, and what is on record is kept for %d days", a.ClaimedAt.UTC().Format(time.DateTime), int(runner.Keep.Hours()/24))
		}
		return signalbox.Progress{Phase: signalbox.NotStarted, Reason: "there is no record of it on " + home + ": it was not begun"}, nil
	case runner.Never:
		return signalbox.Progress{Phase: signalbox.NotStarted, Reason: "it was not begun: " + reach.Shown(seen.End.Never)}, nil
	case runner.Running:
		return signalbox.Progress{Phase: signalbox.Running, Receipt: r.receipt(home, "begun: "+shown(seen.Argv)), Reason: running(&seen, home)}, nil
	case runner.Lost:
		return doubt("%s", lost(&seen))
	case runner.Ended:
	}
	return r.ended(&a, home, &seen)
}
