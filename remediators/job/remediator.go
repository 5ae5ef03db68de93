package job

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
)

// remediator runs Jobs. It keeps connections, and no state of actions; it is
// safe for concurrent use.
type remediator struct {
	now     func() time.Time
	clients *reach.Clients
}

var _ signalbox.Remediator = (*remediator)(nil)

func open(env kind.Env) (signalbox.Remediator, error) {
	if env.Now == nil {
		return nil, errors.New("job: a clock must be given")
	}
	return &remediator{now: env.Now, clients: reach.NewClients(env.Agent, env.Log)}, nil
}

// work is a step resolved.
type work struct {
	spec
	api    *reach.Objects
	target signalbox.Target
}

func (r *remediator) open(s signalbox.Step) (*work, error) {
	sp, err := parseSpec(s.Spec)
	if err != nil {
		return nil, reach.Refused("tool %q: %v", s.Name, err)
	}
	k, err := r.clients.Cluster(cluster.Access{Kubeconfig: sp.Kubeconfig, InCluster: sp.InCluster})
	if err != nil {
		return nil, reach.Refused("tool %q: %v", s.Name, err)
	}
	api, err := k.Objects()
	if err != nil {
		return nil, reach.Refused("tool %q: %v", s.Name, err)
	}
	w := &work{spec: sp, api: api, target: signalbox.Target("cronjob " + sp.Namespace + "/" + sp.CronJob)}
	if sp.CronJob == "" {
		w.target = signalbox.Target("job " + sp.Namespace + "/" + s.Name)
	}
	return w, nil
}

func (w *work) resource(group, plural string) reach.Resource {
	return reach.Resource{Group: group, Version: "v1", Plural: plural, Namespace: w.Namespace}
}

func (w *work) grant(verb, what string) string {
	return fmt.Sprintf("%s: the daemon's account may not %s %s: grant it by a Role in namespace %s", w.target, verb, what, w.Namespace)
}

// template is what would be run; why says what forbids it.
func (w *work) template(ctx context.Context) (t *batchv1.JobSpec, version, why string, err error) {
	t = w.Template
	if w.CronJob != "" {
		var c batchv1.CronJob
		call := reach.Call{Target: string(w.target), Verb: "get", Grant: w.grant("get", "cronjobs.batch"), Missing: fmt.Sprintf("there must be a CronJob %s in namespace %s", w.CronJob, w.Namespace)}
		if err := w.api.Get(ctx, w.resource("batch", "cronjobs"), w.CronJob, call, &c); err != nil {
			return nil, "", "", err
		}
		t, version = &c.Spec.JobTemplate.Spec, c.ResourceVersion
		if c.Spec.ConcurrencyPolicy != batchv1.AllowConcurrent && len(c.Status.Active) > 0 {
			why = fmt.Sprintf("a run of it goes on (Job %s), and its concurrencyPolicy is %s", c.Status.Active[0].Name, c.Spec.ConcurrencyPolicy)
		}
	}
	if unfit := unfit(w.spec, t); unfit != "" {
		why = unfit
	}
	return t, version, why, nil
}

// Preview reads what would be run, with which arguments, and what forbids it.
func (r *remediator) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	f := signalbox.Forecast{At: r.now(), Class: signalbox.ClassB}
	w, err := r.open(s)
	if err == nil {
		f.Targets, f.Takes = []signalbox.Target{w.target}, signalbox.Duration(w.Timeout.Std()+2*time.Minute)
		f.Reach = fmt.Sprintf("whatever a Job of %s does as service account %s in namespace %s", w.target, w.ServiceAccount, w.Namespace)
		f.Found, f.Version, f.Refused, err = w.look(ctx, s)
	}
	var failure *signalbox.Failure
	if errors.As(err, &failure) {
		f.Refused = failure.Error()
		return f, nil
	}
	if err != nil {
		return signalbox.Forecast{}, fmt.Errorf("tool %q: %w", s.Name, err)
	}
	if w.Approval {
		f.NeedsApproval = "the tool says approval: required"
		if n := len(s.Items); n > 0 {
			f.NeedsApproval = fmt.Sprintf("it is run with %d ids, and the tool asks for approval", n)
		}
	}
	if f.Refused == "" && !w.api.May(ctx, "create", w.resource("batch", "jobs"), "", "") {
		f.Refused = w.grant("create", "jobs.batch")
	}
	return f, nil
}

// look is what a run would be, as a Forecast tells it.
func (w *work) look(ctx context.Context, s signalbox.Step) (found, version, why string, err error) {
	args, refused := arguments(w.spec, s)
	t, version, why, err := w.template(ctx)
	if err != nil {
		return "", "", "", err
	}
	if refused != "" {
		why = refused
	}
	return "template " + digest(t, args), version, why, nil
}

// Start creates the action's Job, if what it would run is what the forecast
// found. A Job of the name that is there is the action's own if its annotation
// says so. Once the Job may have been there and gone, none is created.
func (r *remediator) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	w, err := r.open(a.Step)
	if err != nil {
		return signalbox.Receipt{}, err
	}
	j, err := w.job(ctx, a.ID)
	if err != nil {
		return signalbox.Receipt{}, w.undecided(a, reach.Unsent(err))
	}
	if j != nil {
		return r.receipt(w, j, a), orForeign(j, a)
	}
	if r.now().After(a.ClaimedAt.Add(w.TTL.Std())) {
		return signalbox.Receipt{}, fmt.Errorf("tool %q: its Job may have run and been cleaned up since %s: none is created", a.Step.Name, a.ClaimedAt.UTC().Format(time.TimeOnly))
	}
	found, _, why, err := w.look(ctx, a.Step)
	switch {
	case err != nil:
		return signalbox.Receipt{}, w.undecided(a, reach.Unsent(err))
	case why != "":
		return signalbox.Receipt{}, w.undecided(a, reach.Refused("tool %q: %s", a.Step.Name, why))
	case found != a.Forecast.Found:
		return signalbox.Receipt{}, w.undecided(a, reach.Refused("tool %q: the template changed since the preview", a.Step.Name))
	}
	return r.create(ctx, w, a)
}

// undecided keeps a doubt: an earlier attempt may still come through.
func (w *work) undecided(a signalbox.Action, err error) error {
	if a.Stage == signalbox.Started || a.Stage == signalbox.Doubt {
		return fmt.Errorf("an earlier attempt is in doubt, and this one had no effect: %s", err.Error())
	}
	return err
}

func (r *remediator) create(ctx context.Context, w *work, a signalbox.Action) (signalbox.Receipt, error) {
	t, _, _, err := w.template(ctx)
	if err != nil {
		return signalbox.Receipt{}, w.undecided(a, reach.Unsent(err))
	}
	args, _ := arguments(w.spec, a.Step)
	if "template "+digest(t, args) != a.Forecast.Found {
		return signalbox.Receipt{}, w.undecided(a, reach.Refused("tool %q: the template changed since the preview", a.Step.Name))
	}
	var made batchv1.Job
	call := reach.Call{Target: string(w.target), Verb: "create job", Grant: w.grant("create", "jobs.batch"), Missing: "there must be a namespace " + w.Namespace}
	err = w.api.Create(ctx, w.resource("batch", "jobs"), "", "", build(w.spec, t, args, a), call, a.Gate, &made)
	if reach.Code(err) == http.StatusConflict { // somebody else's, or a late send of our own
		there, lookErr := w.job(ctx, a.ID)
		if lookErr != nil || there == nil {
			return signalbox.Receipt{}, fmt.Errorf("tool %q: its Job is said to be there, and can't be read: %w", a.Step.Name, errors.Join(err, lookErr))
		}
		return r.receipt(w, there, a), orForeign(there, a)
	}
	if err != nil {
		return signalbox.Receipt{}, w.undecided(a, err)
	}
	return r.receipt(w, &made, a), nil
}

// job is an action's Job; nil: there is none.
func (w *work) job(ctx context.Context, id signalbox.ActionID) (*batchv1.Job, error) {
	var j batchv1.Job
	call := reach.Call{Target: string(w.target), Verb: "get job", Grant: w.grant("get", "jobs.batch"), Missing: "there is no such Job"}
	err := w.api.Get(ctx, w.resource("batch", "jobs"), nameOf(id), call, &j)
	if reach.Absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &j, nil
}

// orForeign refuses a Job of the name that is not the action's.
func orForeign(j *batchv1.Job, a signalbox.Action) error {
	if j.Annotations[actionAnnotation] == string(a.ID) {
		return nil
	}
	return reach.Refused("tool %q: Job %s is there, and not of this action: delete it", a.Step.Name, j.Name)
}

func (r *remediator) receipt(w *work, j *batchv1.Job, a signalbox.Action) signalbox.Receipt {
	detail := fmt.Sprintf("Job %s/%s", w.Namespace, j.Name)
	if n := len(a.Step.Items); n > 0 {
		detail += fmt.Sprintf(" with %d ids", n)
	}
	return signalbox.Receipt{At: r.now(), Version: j.ResourceVersion, Detail: detail}
}

// Probe follows the Job to its end. That it failed comes with a receipt: some of
// its work may have been done.
func (r *remediator) Probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	w, err := r.open(a.Step)
	if err != nil {
		return signalbox.Progress{}, err
	}
	j, err := w.job(ctx, a.ID)
	var failure *signalbox.Failure
	switch {
	case errors.As(err, &failure):
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: failure.Error()}, nil
	case err != nil:
		return signalbox.Progress{}, fmt.Errorf("tool %q: %w", a.Step.Name, err)
	case j == nil:
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: fmt.Sprintf("there is no Job %s: it was not created yet, or somebody deleted it", nameOf(a.ID))}, nil
	}
	if err := orForeign(j, a); err != nil {
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: err.Error()}, nil
	}
	for _, c := range j.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		receipt := r.receipt(w, j, a)
		switch c.Type {
		case batchv1.JobComplete:
			receipt.Detail += " is complete" + w.tail(ctx, j)
			return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: receipt}, nil
		case batchv1.JobFailed:
			receipt.Detail += fmt.Sprintf(" failed: %s %s", c.Reason, reach.Shown(c.Message))
			return signalbox.Progress{Phase: signalbox.Fell, Receipt: receipt, Reason: receipt.Detail + w.tail(ctx, j)}, nil
		}
	}
	return signalbox.Progress{Phase: signalbox.Running, Receipt: r.receipt(w, j, a), Reason: fmt.Sprintf("Job %s: %d active, %d succeeded, %d failed pods", j.Name, j.Status.Active, j.Status.Succeeded, j.Status.Failed)}, nil
}
