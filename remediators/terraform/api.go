package terraform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
)

const media = "application/vnd.api+json"

// remediator throws variables. It keeps connections, and no state of actions;
// it is safe for concurrent use.
type remediator struct {
	now     func() time.Time
	clients *reach.Clients
}

var (
	_ signalbox.Remediator = (*remediator)(nil)
	_ signalbox.Continuer  = (*remediator)(nil)
)

func open(env kind.Env) (signalbox.Remediator, error) {
	if env.Now == nil {
		return nil, errors.New("terraform: a clock must be given")
	}
	return &remediator{now: env.Now, clients: reach.NewClients(env.Agent, env.Log)}, nil
}

// lever is one switch, resolved.
type lever struct {
	spec
	name, to, want string
	api            *reach.REST
	blobs          *http.Client // without credentials, for where a plan is stored
}

func (r *remediator) open(s signalbox.Step) (*lever, error) {
	sp, err := parseSpec(s.Spec)
	if err != nil {
		return nil, reach.Refused("switch %q: %v", s.Name, err)
	}
	want, ok := sp.Positions[s.To]
	if !ok {
		return nil, reach.Refused("switch %q: position %q is not listed", s.Name, s.To)
	}
	api, err := r.clients.REST("terraform", sp.URL, sp.client(), media, r.now, said)
	if err != nil {
		return nil, reach.Refused("switch %q: %v", s.Name, err)
	}
	blobs, err := r.clients.HTTP("follow_redirects: false")
	if err != nil {
		return nil, reach.Refused("switch %q: %v", s.Name, err)
	}
	return &lever{spec: sp, name: s.Name, to: s.To, want: want, api: api, blobs: blobs}, nil
}

// read gets one document.
func (l *lever) read(ctx context.Context, what, path string, query url.Values, into any) error {
	_, err := l.api.Do(ctx, reach.Exchange{What: "read " + what, Method: http.MethodGet, Path: "api/v2/" + path, Query: query}, into)
	return err
}

// scene is what a look at a workspace finds.
type scene struct {
	ws       workspace
	variable *variable // nil: there is none
	runs     []run     // newest first
	whole    bool      // runs reach back to the moment that was asked for
}

const (
	pageSize  = 100
	mostPages = 5
	// skew is by how much Terraform's clock may be behind ours.
	skew = 10 * time.Minute
)

// look reads the workspace, the variable, and the runs since a moment.
func (l *lever) look(ctx context.Context, since time.Time) (scene, error) {
	var s scene
	var ws struct{ Data workspace }
	if err := l.read(ctx, "the workspace", "organizations/"+l.Organization+"/workspaces/"+l.Workspace, nil, &ws); err != nil {
		return s, err
	}
	if s.ws = ws.Data; !plainName.MatchString(s.ws.ID) {
		return s, errors.New("terraform: read the workspace: the answer has no id")
	}
	var vars struct{ Data []variable }
	if err := l.read(ctx, "the variables", "workspaces/"+s.ws.ID+"/vars", nil, &vars); err != nil {
		return s, err
	}
	for i := range vars.Data {
		if v := &vars.Data[i]; v.Attributes.Key == l.Variable && v.Attributes.Category == l.Category && plainName.MatchString(v.ID) {
			s.variable = v
		}
	}
	var err error
	s.runs, s.whole, err = l.runs(ctx, s.ws.ID, since)
	return s, err
}

// runs lists the workspace's runs, newest first, back to since.
func (l *lever) runs(ctx context.Context, ws string, since time.Time) (all []run, whole bool, err error) {
	for page := 1; page <= mostPages; page++ {
		var list struct{ Data []run }
		query := url.Values{"page[size]": {fmt.Sprint(pageSize)}, "page[number]": {fmt.Sprint(page)}}
		if err := l.read(ctx, "the runs", "workspaces/"+ws+"/runs", query, &list); err != nil {
			return nil, false, err
		}
		all = append(all, list.Data...)
		n := len(list.Data)
		if n < pageSize || list.Data[n-1].Attributes.CreatedAt.Before(since.Add(-skew)) {
			return all, true, nil
		}
	}
	return all, false, nil
}

// value is the variable's.
func (s *scene) value() string {
	if s.variable == nil || s.variable.Attributes.Value == nil {
		return ""
	}
	return *s.variable.Attributes.Value
}

// marker ends the message of a run of an action.
func marker(id signalbox.ActionID) string { return "[signalbox action " + string(id) + "]" }

// of is the first run of an action; nil: there is none.
func (s *scene) of(id signalbox.ActionID) *run {
	for i := len(s.runs) - 1; i >= 0; i-- {
		if r := &s.runs[i]; strings.HasSuffix(r.Attributes.Message, marker(id)) && plainName.MatchString(r.ID) {
			return r
		}
	}
	return nil
}

// busy is a run that is in the way; nil: none.
func (s *scene) busy() *run {
	for i := range s.runs {
		if s.runs[i].inTheWay() {
			return &s.runs[i]
		}
	}
	return nil
}

// settled reports whether the newest run that could have applied something did.
func (s *scene) settled() bool {
	for i := range s.runs {
		if r := &s.runs[i]; !r.Attributes.PlanOnly && r.Attributes.Status != stateSaved && r.Attributes.Status != stateAssessed {
			return r.succeeded()
		}
	}
	return false
}

// check holds the plan of a run against what it may touch. An error means that
// it could not be read.
func (l *lever) check(ctx context.Context, r *run) (objection string, err error) {
	if r.Relationships.Plan.Data == nil || !plainName.MatchString(r.Relationships.Plan.Data.ID) {
		return "", errors.New("terraform: the run names no plan")
	}
	path := "plans/" + r.Relationships.Plan.Data.ID
	var counts struct{ Data planCounts }
	if err := l.read(ctx, "the plan", path, nil, &counts); err != nil {
		return "", err
	}
	raw, err := l.output(ctx, path+"/json-output-redacted")
	if errors.Is(err, reach.ErrTooLong) {
		return "the plan is too long to be checked", nil
	}
	if err != nil {
		return "", err
	}
	p, err := parsePlan(raw)
	if err != nil {
		return err.Error(), nil
	}
	return l.objection(p, counts.Data), nil
}

// output reads a plan's content: Terraform answers with where it is stored, an
// address that is itself a credential, and that gets none of ours.
func (l *lever) output(ctx context.Context, path string) ([]byte, error) {
	var raw json.RawMessage
	header, err := l.api.Do(ctx, reach.Exchange{What: "read the plan's content", Method: http.MethodGet, Path: "api/v2/" + path}, &raw)
	if err != nil {
		return nil, err
	}
	if len(raw) > 0 {
		return raw, nil
	}
	base, _ := url.Parse(l.URL)
	at, err := base.Parse(header.Get("Location"))
	if err != nil || header.Get("Location") == "" || at.Host == "" || at.User != nil || at.Scheme != "https" && at.Scheme != base.Scheme {
		return nil, errors.New("terraform: the plan's content is not there yet, or not where it could be read")
	}
	ctx, cancel := context.WithTimeout(ctx, reach.CallTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), http.NoBody)
	if err != nil {
		return nil, errors.New("terraform: the plan's content can't be asked for")
	}
	resp, err := l.blobs.Do(req)
	if err != nil {
		return nil, fmt.Errorf("terraform: read the plan's content: %w", reach.Unanswered(ctx, err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return nil, fmt.Errorf("terraform: read the plan's content: %w", reach.Unanswered(ctx, err))
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("terraform: read the plan's content: the store answered %d", resp.StatusCode)
	}
	return body, nil
}
