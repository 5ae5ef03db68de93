package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// Bounds of when a run can have come from an action: the longest after its claim
// that a Start is believed to send, and how far GitHub's clock may be behind.
const (
	sendBound = time.Minute
	skewBound = 2 * time.Minute
)

// Probe finds the action's run and tells how far it has come.
func (r *remediator) Probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	h, err := r.open(a.Step)
	if err != nil {
		return signalbox.Progress{}, err
	}
	var p signalbox.Progress
	if a.Step.To == moveCancelled {
		p, err = r.followCancel(ctx, h, a)
	} else {
		p, err = r.followRun(ctx, h, a)
	}
	var failure *signalbox.Failure
	if errors.As(err, &failure) { // it can't be seen; that says nothing of the action
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: failure.Error()}, nil
	}
	if err != nil {
		return signalbox.Progress{}, fmt.Errorf("tool %q: %w", a.Step.Name, err)
	}
	return p, nil
}

// followRun follows a dispatch.
func (r *remediator) followRun(ctx context.Context, h *hub, a signalbox.Action) (signalbox.Progress, error) {
	if id, err := strconv.ParseInt(a.Receipt.Version, 10, 64); err == nil && id > 0 {
		found, err := h.run(ctx, id)
		if err != nil {
			return signalbox.Progress{}, err
		}
		return r.verdict(ctx, h, a, &found)
	}
	runs, whole, err := h.dispatches(ctx, maxPages)
	if err != nil {
		return signalbox.Progress{}, err
	}
	var mine []*run
	for i := range runs {
		if runs[i].bears(string(a.ID)) && !runs[i].Created.Before(a.ClaimedAt.Add(-skewBound)) {
			mine = append(mine, &runs[i])
		}
	}
	switch len(mine) {
	case 0:
		return r.unlisted(h, a, runs, whole), nil
	case 1:
		return r.verdict(ctx, h, a, mine[0])
	}
	return signalbox.Progress{Phase: signalbox.InDoubt, Reason: fmt.Sprintf("%d runs show the action's id: %s and %s", len(mine), mine[0], mine[1])}, nil
}

// unlisted judges a list in which no run shows the action's id.
func (r *remediator) unlisted(h *hub, a signalbox.Action, runs []run, whole bool) signalbox.Progress {
	doubt := func(format string, args ...any) signalbox.Progress {
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: fmt.Sprintf(format, args...)}
	}
	since := a.ClaimedAt.Add(-skewBound)
	if a.Receipt.Detail != "" {
		return doubt("GitHub took the dispatch, and no run shows the action's id %s yet: the workflow's run-name must show input %s", a.ID, h.spec.ActionIn)
	}
	if latest := a.ClaimedAt.Add(sendBound + h.spec.Latency.Std()); r.now().Before(latest) {
		return doubt("no run shows the action's id yet; the list may be %s behind", h.spec.Latency)
	}
	for i := range runs {
		if !runs[i].Created.Before(since) {
			return doubt("no run shows the action's id %s, and %s was dispatched since: whether it is this one can't be told", a.ID, &runs[i])
		}
	}
	if !whole && len(runs) == 0 {
		return doubt("the list of runs is not whole")
	}
	return signalbox.Progress{Phase: signalbox.NotStarted, Reason: fmt.Sprintf("no run was dispatched, %s after the last moment of sending", h.spec.Latency)}
}

// verdict tells how a run stands.
func (r *remediator) verdict(ctx context.Context, h *hub, a signalbox.Action, found *run) (signalbox.Progress, error) {
	if !found.ended() {
		return signalbox.Progress{Phase: signalbox.Running, Receipt: r.receipt(found, "is "+found.state()), Reason: found.String()}, nil
	}
	failed := r.receipt(found, "ended with "+found.state())
	if want := shaOf(a.Forecast.Version); want != "" && found.SHA != want {
		return signalbox.Progress{Phase: signalbox.Fell, Receipt: failed, Reason: fmt.Sprintf("%s is of commit %.12s, and not of %.12s, which was chosen", found, plain(found.SHA), want)}, nil
	}
	if found.Conclusion == "success" {
		return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: r.receipt(found, "succeeded: "+webLink(found.Link))}, nil
	}
	reason := found.String()
	jobs, err := h.jobs(ctx, found.ID)
	if err != nil {
		return signalbox.Progress{Phase: signalbox.Fell, Receipt: failed, Reason: reason + "; its jobs can't be read"}, nil
	}
	for i := range jobs {
		if j := &jobs[i]; j.Status == "completed" && j.Conclusion != "success" && j.Conclusion != "skipped" && j.Conclusion != "neutral" {
			reason += fmt.Sprintf("; job %s ended with %s (%s)", plain(j.Name), plain(j.Conclusion), webLink(j.Link))
			if failed := progressOf(jobs[i : i+1]).failed; len(failed) > 0 {
				reason += ", in step " + plain(failed[0])
			}
			break
		}
	}
	return signalbox.Progress{Phase: signalbox.Fell, Receipt: failed, Reason: reason}, nil
}

// shaOf is the commit that a forecast chose; "": none.
func shaOf(version string) string {
	at := strings.LastIndexByte(version, '@')
	if at < 0 {
		return ""
	}
	sha, _, _ := strings.Cut(version[at+1:], " ")
	return sha
}

// followCancel follows the run that was to be cancelled.
func (r *remediator) followCancel(ctx context.Context, h *hub, a signalbox.Action) (signalbox.Progress, error) {
	if a.Forecast.Already {
		return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: signalbox.Receipt{At: r.now(), Detail: "no run was under way"}}, nil
	}
	word, attempt, _ := strings.Cut(a.Forecast.Version, ".")
	id, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "which run was to be cancelled is not known"}, nil
	}
	found, err := h.run(ctx, id)
	if err != nil {
		return signalbox.Progress{}, err
	}
	switch {
	case strconv.FormatInt(found.Attempt, 10) != attempt:
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: fmt.Sprintf("someone ran it again since: %s, attempt %d", &found, found.Attempt)}, nil
	case !found.ended() && (a.Stage == signalbox.Started || !a.Receipt.At.IsZero()):
		return signalbox.Progress{Phase: signalbox.Running, Reason: "it is being cancelled: " + found.String()}, nil
	case !found.ended():
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "whether GitHub was asked to cancel it is not known: " + found.String()}, nil
	case found.Conclusion != "cancelled":
		return signalbox.Progress{Phase: signalbox.Fell, Reason: "it ended before it could be cancelled: " + found.String()}, nil
	}
	did := "what had been done can't be read"
	if jobs, err := h.jobs(ctx, id); err == nil {
		did = progressOf(jobs).String()
	}
	return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: r.receipt(&found, "was cancelled; "+did)}, nil
}
