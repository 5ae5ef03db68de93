package pipeline

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
)

// view is what is there for one move: the forecast, and what would be sent.
type view struct {
	signalbox.Forecast
	ref    string
	inputs map[string]string
	run    run // to cancel
}

// look reads all that one move depends on.
func (h *hub) look(ctx context.Context, move string) (view, error) {
	v := view{Forecast: signalbox.Forecast{
		At: h.now(), Class: signalbox.ClassC, Latency: signalbox.Duration(h.spec.Latency), Takes: signalbox.Duration(h.spec.Timeout),
	}}
	w, err := h.workflow(ctx, h.spec.Workflow)
	if err != nil {
		return v, err
	}
	file := path.Base(w.Path)
	repository := strings.ToLower(h.spec.Owner + "/" + h.spec.Repository)
	v.Targets = []signalbox.Target{signalbox.Target("workflow " + repository + " " + plain(file))}
	if w.State != "active" {
		v.Refused = fmt.Sprintf("workflow %s is %s: enable it", plain(file), plain(w.State))
		return v, nil
	}
	switch move {
	case moveRun:
		err = h.lookRun(ctx, &v)
	case movePrevious:
		err = h.lookPrevious(ctx, &v)
	case moveCancelled:
		err = h.lookCancelled(ctx, &v)
	}
	return v, err
}

// lookRun finds the ref at which the workflow is dispatched as configured.
func (h *hub) lookRun(ctx context.Context, v *view) error {
	v.ref, v.Version, v.inputs = h.spec.Ref, h.spec.Ref, maps.Clone(h.spec.Inputs)
	v.Found = "nothing is dispatched yet"
	if from := h.spec.RefFrom; from != "" {
		runs, _, err := h.runs(ctx, from, 1, nil)
		if err != nil {
			return err
		}
		for _, r := range timeline(runs) {
			if r.state() == "success" {
				v.ref, v.Version = r.Branch, r.Branch+"@"+r.SHA
				v.Found = fmt.Sprintf("the newest successful %s is %s", from, &r)
				break
			}
		}
		if !refName.MatchString(v.ref) {
			v.Refused = fmt.Sprintf("no successful run of %s tells at which ref to run", from)
			return nil
		}
	}
	v.Reach = fmt.Sprintf("what workflow %s of %s/%s does at %s", h.spec.Workflow, h.spec.Owner, h.spec.Repository, v.ref)
	return nil
}

// lookPrevious chooses the previous stable tag, and says why.
func (h *hub) lookPrevious(ctx context.Context, v *view) error {
	st := h.spec.Stable
	u, err := st.rule()
	if err != nil {
		return reach.Refused("stable.tag_pattern: %v", err)
	}
	deploys, _, err := h.runs(ctx, h.spec.Workflow, maxPages, nil)
	if err != nil {
		return err
	}
	smokes, _, err := h.runs(ctx, st.SmokeWorkflow, maxPages, nil)
	if err != nil {
		return err
	}
	c, refused := u.choose(deploys, smokes, h.now())
	if len(deploys) > 0 && c.failing.ID != 0 {
		v.Found = "deployed last: " + c.failing.String()
	}
	if v.Refused = refused; refused != "" {
		return nil
	}
	v.ref, v.inputs = c.tag, maps.Clone(h.spec.Inputs)
	v.Version = fmt.Sprintf("%s@%s after %d.%d", c.tag, c.sha, c.failing.ID, c.failing.Attempt)
	if st.TagInput != "" {
		if v.inputs == nil {
			v.inputs = map[string]string{}
		}
		v.inputs[st.TagInput] = c.tag
	}
	if refName.MatchString(c.failing.Branch) {
		v.ByHand = fmt.Sprintf("gh workflow run %s -R %s --ref %s", reach.Quote(h.spec.Workflow), reach.Quote(h.spec.Owner+"/"+h.spec.Repository), reach.Quote(c.failing.Branch))
	}
	v.Reach = fmt.Sprintf("all that %s deploys, with tag %s: its deploy (run %d) and smoke tests (run %d) passed, and it was in production for %s",
		h.spec.Workflow, c.tag, c.deploy.ID, c.smoke.ID, c.took.Round(time.Minute))
	if why := c.why(); why != "" {
		v.Reach += "; passed over: " + why
	}
	return h.confirm(ctx, v, c)
}

// confirm holds the chosen tag against the tag itself, the deployments and the
// files between the two versions.
func (h *hub) confirm(ctx context.Context, v *view, c choice) error {
	st := h.spec.Stable
	sha, err := h.tag(ctx, c.tag)
	if err != nil {
		return err
	}
	if sha != c.sha {
		v.Refused = fmt.Sprintf("tag %s is at commit %.12s, and was deployed at %.12s: it was moved since", c.tag, plain(sha), plain(c.sha))
		return nil
	}
	if st.Environment != "" {
		since, until, err := h.deployed(ctx, c.sha, st.Environment)
		switch {
		case err != nil:
			return err
		case since.IsZero():
			v.Refused = fmt.Sprintf("no deployment of %s to environment %s is known to have succeeded, though its run did", c.tag, st.Environment)
			return nil
		case span(since, until, h.now()) < st.InProductionFor.Std():
			v.Refused = fmt.Sprintf("by its deployments %s was in environment %s for %s, and must have been for %s",
				c.tag, st.Environment, span(since, until, h.now()).Round(time.Minute), st.InProductionFor.Std())
			return nil
		}
	}
	v.NeedsApproval, err = h.migrations(ctx, c)
	return err
}

// migrations says why a person must look at what lies between the two versions;
// empty: no migration does.
func (h *hub) migrations(ctx context.Context, c choice) (string, error) {
	d, err := h.compare(ctx, c.sha, c.failing.SHA)
	if err != nil {
		return "", err
	}
	between := fmt.Sprintf("between %s and %s", c.tag, plain(c.failing.Branch))
	var found []string
	for _, f := range d.Files {
		for _, glob := range h.spec.Stable.Migrations {
			if doublestar.MatchUnvalidated(glob, f.Name) || f.Previous != "" && doublestar.MatchUnvalidated(glob, f.Previous) {
				found = append(found, plain(f.Name))
				break
			}
		}
	}
	slices.Sort(found)
	switch {
	case len(found) > 0:
		return fmt.Sprintf("%d schema migrations lie %s: %s", len(found), between, plain(strings.Join(found, ", "))), nil
	case d.Status != "ahead" && d.Status != "identical":
		return fmt.Sprintf("whether a schema migration lies %s can't be told: the two are %s", between, plain(d.Status)), nil
	case len(d.Files) >= mostFiles:
		return fmt.Sprintf("whether a schema migration lies %s can't be told: more than %d files changed", between, mostFiles-1), nil
	}
	return "", nil
}

// lookCancelled finds the one run that is under way, and what it has done.
func (h *hub) lookCancelled(ctx context.Context, v *view) error {
	runs, _, err := h.runs(ctx, h.spec.Workflow, 1, nil)
	if err != nil {
		return err
	}
	var open []string
	for i := range runs {
		if !runs[i].ended() {
			v.run = runs[i]
			open = append(open, runs[i].String())
		}
	}
	switch len(open) {
	case 0:
		v.Already, v.Found = true, "no run is under way"
		return nil
	case 1:
	default:
		v.Refused = fmt.Sprintf("%d runs are under way, and which is meant can't be told: %s", len(open), strings.Join(open, "; "))
		return nil
	}
	jobs, err := h.jobs(ctx, v.run.ID)
	if err != nil {
		return err
	}
	p := progressOf(jobs)
	v.Version = fmt.Sprintf("%d.%d", v.run.ID, v.run.Attempt)
	v.Found = v.run.String() + ": " + p.String()
	v.Reach = "what is left of " + v.run.String()
	v.ByHand = fmt.Sprintf("gh run rerun %d -R %s", v.run.ID, reach.Quote(h.spec.Owner+"/"+h.spec.Repository))
	for _, part := range []struct {
		word  string
		names []string
	}{{"step", p.now}, {"job", p.jobs}} {
		for _, name := range part.names {
			if slices.Contains(h.spec.Cancel.NeverDuring, name) {
				v.Refused = fmt.Sprintf("%s %q is in progress, and must not be cut off: %s", part.word, plain(name), v.Found)
				return nil
			}
		}
	}
	v.NeedsApproval = "what is cancelled stays half done: " + p.String()
	return nil
}

// progress is how far a run has come, by the names of its steps, and of the jobs
// that are in progress.
type progress struct{ done, now, left, failed, jobs []string }

func progressOf(jobs []job) progress {
	var p progress
	for i := range jobs {
		if jobs[i].Status == "in_progress" {
			p.jobs = append(p.jobs, jobs[i].Name)
		}
		for _, s := range jobs[i].Steps {
			switch {
			case s.Status == "in_progress":
				p.now = append(p.now, s.Name)
			case s.Status == "completed" && (s.Conclusion == "success" || s.Conclusion == "neutral"):
				p.done = append(p.done, s.Name)
			case s.Status == "completed" && s.Conclusion != "skipped":
				p.failed = append(p.failed, s.Name)
			case s.Status != "completed" || s.Conclusion == "skipped":
				p.left = append(p.left, s.Name)
			}
		}
	}
	return p
}

func (p progress) String() string {
	var parts []string
	for _, part := range []struct {
		word  string
		names []string
	}{{"done", p.done}, {"in progress", p.now}, {"cut off or failed", p.failed}, {"not begun", p.left}} {
		if len(part.names) > 0 {
			parts = append(parts, part.word+": "+plain(strings.Join(part.names, ", ")))
		}
	}
	return or(strings.Join(parts, "; "), "no step has begun")
}
