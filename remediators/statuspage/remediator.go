package statuspage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/pace"
	"github.com/signalbox/signalbox/internal/reach"
)

const (
	// latency is how long the vendor may take until a change is in its lists.
	latency = 30 * time.Second
	// sendBound is the longest after its claim that a Start is believed to send.
	sendBound = time.Minute
	// mostHold is how long a request waits for the vendor's pace.
	mostHold = 3 * time.Second
	// The vendor takes 60 requests in a minute, and answers 420 to more.
	perSecond = 1
	burst     = 10
)

// remediator tells on status pages. It keeps connections and its pace, and no
// state of actions; it is safe for concurrent use.
type remediator struct {
	now     func() time.Time
	clients *reach.Clients
	pace    *pace.Pace
	hold    time.Duration
}

var _ signalbox.Remediator = (*remediator)(nil)

func open(env kind.Env) (signalbox.Remediator, error) {
	if env.Now == nil {
		return nil, errors.New("statuspage: a clock must be given")
	}
	return &remediator{now: env.Now, clients: reach.NewClients(env.Agent, env.Log), pace: pace.New(perSecond, burst), hold: mostHold}, nil
}

// Preview looks for the incident on the page, and at the components.
func (r *remediator) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	j, err := r.open(s)
	if err != nil {
		target := signalbox.Target("statuspage tool " + s.Name)
		return signalbox.Forecast{At: r.now(), Class: signalbox.ClassC, Targets: []signalbox.Target{target}, Refused: err.Error()}, nil
	}
	f := signalbox.Forecast{
		At: r.now(), Class: signalbox.ClassC, Latency: signalbox.Duration(latency), Targets: []signalbox.Target{j.target()}, Reach: j.reach(),
		ByHand: "resolve it on https://manage.statuspage.io/pages/" + j.Page.PageID + "/incidents",
	}
	if _, _, err := j.texts(); err != nil {
		f.Refused = err.Error()
		return f, nil
	}
	st, err := r.see(ctx, j)
	if err != nil {
		if f.Refused = j.unseen(err); f.Refused != "" && !limited(err) {
			return f, nil
		}
		return signalbox.Forecast{}, fmt.Errorf("status page %q: %w", s.Name, err)
	}
	f.Found = st.found()
	if j.Ends {
		f.Already = st.ours == nil || st.ours.Status == resolved
		return f, nil
	}
	if j.Page.Public && j.Page.Approval == ApprovalRequired {
		f.NeedsApproval = "the public reads it"
	}
	if f.Refused = j.obstacle(st); f.Refused == "" && st.ours == nil {
		f.Undo, err = j.ending(s, st)
	}
	return f, err
}

func limited(err error) bool {
	code := httpclient.Status(err)
	return code == http.StatusTooManyRequests || code == statusEnhance
}

func (j *job) reach() string {
	who := "who reads status page " + j.Page.PageID
	if j.Page.Notify {
		who += ", and its subscribers"
	}
	return who
}

// state is what is on the page.
type state struct {
	ours    *incident
	foreign *incident            // an open incident on the same components
	set     map[string]component // those components that are to be set, or back, by id
	missing []string             // components that are not there, or groups
}

// found is what is compared before a write.
func (st *state) found() string {
	what := "no incident"
	if st.ours != nil {
		what = "incident " + st.ours.ID + " " + st.ours.Status
	}
	for _, id := range slices.Sorted(maps.Keys(st.set)) {
		what += ", " + id + " " + st.set[id].Status
	}
	return what
}

// see reads the page. Components are read where they are to be set: with the
// first step, and with the last.
func (r *remediator) see(ctx context.Context, j *job) (*state, error) {
	list, err := r.incidents(ctx, j)
	if err != nil {
		return nil, err
	}
	st := &state{ours: j.ours(list), foreign: j.foreign(list), set: map[string]component{}}
	first := !j.Ends && st.ours == nil
	if len(j.Page.Components) == 0 || !first && len(j.Back) == 0 || j.Ends && (st.ours == nil || st.ours.Status == resolved) {
		return st, nil
	}
	there, err := r.components(ctx, j)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(j.Page.Components)) {
		id := j.Page.Components[name]
		c, ok := there[id]
		_, back := j.Back[id]
		switch {
		case !ok && first:
			st.missing = append(st.missing, fmt.Sprintf("component %s (%s) is not on the page", name, id))
		case c.Group && first:
			st.missing = append(st.missing, fmt.Sprintf("component %s (%s) is a group: name its members", name, id))
		case first && slices.Index(degrees, c.Status) < slices.Index(degrees, j.Page.ComponentStatus),
			ok && j.Ends && back && c.Status == j.Page.ComponentStatus: // only what is as we set it
			st.set[id] = c
		}
	}
	return st, nil
}

// foreign is an open incident on one of our components. It matters where none
// of them is ours.
func (j *job) foreign(list []incident) *incident {
	for i := range list {
		if !slices.Contains(order[:3], list[i].Status) {
			continue
		}
		for _, c := range list[i].Components {
			if slices.Contains(slices.Collect(maps.Values(j.Page.Components)), c.ID) {
				return &list[i]
			}
		}
	}
	return nil
}

// obstacle says why nothing is told as things stand; "": nothing forbids it.
func (j *job) obstacle(st *state) string {
	switch {
	case st.ours == nil && len(st.missing) > 0:
		return strings.Join(st.missing, "; ")
	case st.ours == nil && st.foreign != nil:
		return fmt.Sprintf("the page tells of the same components already: incident %s, %s", st.foreign.ID, reach.Shown(st.foreign.Name))
	case st.ours == nil:
		return ""
	case st.ours.Status == j.to:
		return fmt.Sprintf("incident %s is %s already", st.ours.ID, j.to)
	case slices.Index(order, st.ours.Status) > slices.Index(order, j.to):
		return fmt.Sprintf("incident %s is %s: someone moved it on", st.ours.ID, st.ours.Status)
	}
	return ""
}

// ending is the step that resolves the incident.
func (j *job) ending(s signalbox.Step, st *state) (*signalbox.Step, error) {
	sp := *j.spec
	sp.Ends, sp.Back = true, map[string]string{}
	for id, c := range st.set {
		sp.Back[id] = c.Status
	}
	raw, err := json.Marshal(sp)
	if err != nil {
		return nil, err
	}
	s.To, s.Spec, s.If, s.Within, s.Promise = resolved, raw, "", 0, 0
	return &s, nil
}
