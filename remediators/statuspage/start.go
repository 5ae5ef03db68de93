package statuspage

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
)

// change is the body of a POST or PATCH of an incident.
type change struct {
	Name       string            `json:"name,omitempty"`
	Status     string            `json:"status"`
	Body       string            `json:"body"`
	Impact     string            `json:"impact_override,omitempty"`
	IDs        []string          `json:"component_ids,omitempty"`
	Components map[string]string `json:"components,omitempty"`
	Notify     bool              `json:"deliver_notifications"`
	Metadata   metadata          `json:"metadata"`
}

// Start tells it, unless it was told.
func (r *remediator) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	j, err := r.open(a.Step)
	if err != nil {
		return signalbox.Receipt{}, err
	}
	name, message, err := j.texts()
	if err != nil {
		return signalbox.Receipt{}, reach.Refused("status page %q: %v", a.Step.Name, err)
	}
	st, err := r.see(ctx, j)
	if err != nil {
		return signalbox.Receipt{}, reach.Unsent(err)
	}
	if st.ours != nil && st.ours.Metadata.Ours.by(a.ID) {
		return r.receipt(*st.ours, "was told before"), nil
	}
	if st.found() != a.Forecast.Found {
		return signalbox.Receipt{}, reach.Refused("status page %q: it is not as the preview found it: %s, now %s", a.Step.Name, a.Forecast.Found, st.found())
	}
	c := change{Status: j.to, Body: message, Notify: j.Page.Notify}
	switch {
	case j.Ends && (st.ours == nil || st.ours.Status == resolved):
		return signalbox.Receipt{}, reach.Refused("status page %q: its incident is resolved or gone: a person did that", a.Step.Name)
	case j.Ends:
		c.Metadata.Ours = st.ours.Metadata.Ours
		c.Metadata.Ours.Ended, c.Components = a.ID, j.statuses(st)
	default:
		if why := j.obstacle(st); why != "" {
			return signalbox.Receipt{}, reach.Refused("status page %q: %s", a.Step.Name, why)
		}
		if st.ours == nil {
			c.Name, c.Impact, c.Components = name, j.Page.Impact, j.statuses(st)
			c.Metadata.Ours = mark{Incident: j.about.Incident, Tool: j.tool, Action: a.ID}
			for _, id := range j.Page.Components {
				c.IDs = append(c.IDs, id)
			}
			slices.Sort(c.IDs)
			return r.told(ctx, a, j, http.MethodPost, "/incidents", c)
		}
		c.Metadata.Ours = st.ours.Metadata.Ours
		c.Metadata.Ours.Updates = append(slices.Clone(c.Metadata.Ours.Updates), a.ID)
	}
	return r.told(ctx, a, j, http.MethodPatch, "/incidents/"+st.ours.ID, c)
}

// statuses are what the components are set to: ours, or back.
func (j *job) statuses(st *state) map[string]string {
	to := map[string]string{}
	for id := range st.set {
		to[id] = j.Page.ComponentStatus
		if j.Ends {
			to[id] = j.Back[id]
		}
	}
	return to
}

func (r *remediator) told(ctx context.Context, a signalbox.Action, j *job, method, path string, c change) (signalbox.Receipt, error) {
	now, err := r.write(ctx, a, j, method, path, c)
	if err != nil {
		return signalbox.Receipt{}, err
	}
	return r.receipt(now, "is "+j.to), nil
}

func (r *remediator) receipt(i incident, what string) signalbox.Receipt {
	return signalbox.Receipt{At: r.now(), Version: i.ID, Detail: fmt.Sprintf("incident %s %s", i.ID, what)}
}

// by reports whether an action made, changed or resolved the incident.
func (m mark) by(id signalbox.ActionID) bool {
	return id != "" && (m.Action == id || m.Ended == id || slices.Contains(m.Updates, id))
}

// Probe looks for what the action did.
func (r *remediator) Probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	j, err := r.open(a.Step)
	if err != nil { // that says nothing of the action
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: err.Error()}, nil
	}
	list, err := r.incidents(ctx, j)
	if err != nil {
		return signalbox.Progress{}, fmt.Errorf("status page %q: %w", a.Step.Name, err)
	}
	switch i := j.ours(list); {
	case i != nil && i.Metadata.Ours.by(a.ID):
		return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: r.receipt(*i, "is "+i.Status)}, nil
	case r.now().Before(a.ClaimedAt.Add(sendBound + latency)):
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "not told yet; the page may take " + latency.String()}, nil
	}
	return signalbox.Progress{Phase: signalbox.NotStarted, Reason: fmt.Sprintf("the page does not tell it, %s after the last moment of sending", latency)}, nil
}
