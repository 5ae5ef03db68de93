package statuspage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/reach"
)

// Bounds of what is listed: the newest incidents, and pages of components.
const (
	mostIncidents = 100
	perPage       = 100
	mostPages     = 5
)

// statusEnhance is what the vendor answers, beside 429, to more than 60
// requests in a minute.
const statusEnhance = 420

// mark is metadata.signalbox of an incident: by it ours are found again.
type mark struct {
	Incident signalbox.IncidentID `json:"incident,omitempty"`
	Tool     string               `json:"tool,omitempty"`
	Action   signalbox.ActionID   `json:"action,omitempty"`  // that made it
	Updates  []signalbox.ActionID `json:"updates,omitempty"` // that changed it
	Ended    signalbox.ActionID   `json:"ended,omitempty"`   // that resolved it
}

type metadata struct {
	Ours mark `json:"signalbox"`
}

type component struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status"`
	Group  bool   `json:"group"`
}

type incident struct {
	ID         string      `json:"id"`
	Name       string      `json:"name"`
	Status     string      `json:"status"`
	Components []component `json:"components"`
	Metadata   metadata    `json:"metadata"`
}

// incidents are the newest of the page.
func (r *remediator) incidents(ctx context.Context, j *job) ([]incident, error) {
	var list []incident
	err := r.read(ctx, j, "/incidents", url.Values{"limit": {strconv.Itoa(mostIncidents)}}, &list)
	return list, err
}

// ours is the incident of the page that tells of the step's; nil: none does.
func (j *job) ours(list []incident) *incident {
	for i := range list {
		if m := list[i].Metadata.Ours; m.Incident == j.about.Incident && m.Tool == j.tool {
			return &list[i]
		}
	}
	return nil
}

// components are those that the settings name, by id. An id that is not on the
// page is not in the result.
func (r *remediator) components(ctx context.Context, j *job) (map[string]component, error) {
	found := map[string]component{}
	for page := 1; page <= mostPages && len(found) < len(j.Page.Components); page++ {
		var list []component
		q := url.Values{"page": {strconv.Itoa(page)}, "per_page": {strconv.Itoa(perPage)}}
		if err := r.read(ctx, j, "/components", q, &list); err != nil {
			return nil, err
		}
		for _, c := range list {
			for _, id := range j.Page.Components {
				if c.ID == id {
					found[id] = c
				}
			}
		}
		if len(list) < perPage {
			break
		}
	}
	return found, nil
}

func (r *remediator) read(ctx context.Context, j *job, path string, q url.Values, into any) error {
	if wait := r.held(ctx, j); wait != nil {
		return wait
	}
	return r.call(ctx, j, http.MethodGet, path+"?"+q.Encode(), nil, into)
}

// held waits for the vendor's pace, for a while.
func (r *remediator) held(ctx context.Context, j *job) error {
	wait := r.pace.Wait(ctx, j.token, r.now, r.hold)
	if wait <= 0 {
		return nil
	}
	return reach.Later(wait, errors.New("the vendor takes one request a second"))
}

// write sends one change, behind the last check. A *signalbox.Failure says that
// nothing was changed.
func (r *remediator) write(ctx context.Context, a signalbox.Action, j *job, method, path string, body any) (incident, error) {
	var now incident
	if err := r.held(ctx, j); err != nil {
		return now, reach.Unsent(err)
	}
	if err := reach.Pass(ctx, a.Gate); err != nil {
		return now, err
	}
	err := r.call(ctx, j, method, path, map[string]any{"incident": body}, &now)
	if code := httpclient.Status(err); err != nil && reach.Definite(code) {
		return now, &signalbox.Failure{Reason: cmp.Or(j.unseen(err), "nothing was written"), Err: err}
	}
	return now, err
}

// call sends one request below the page. Its error is an *httpclient.Error
// where an answer came, and a *signalbox.Failure where nothing was sent.
func (r *remediator) call(ctx context.Context, j *job, method, path string, body, into any) error {
	var reader io.Reader = http.NoBody
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return reach.Unsent(err)
		}
		reader = bytes.NewReader(raw)
	}
	address := strings.TrimRight(cmp.Or(j.Page.URL, DefaultURL), "/") + "/pages/" + j.Page.PageID + path
	req, err := http.NewRequestWithContext(ctx, method, address, reader)
	if err != nil {
		return reach.Refused("the request can't be made")
	}
	req.Header.Set("Authorization", "OAuth "+j.token)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	client, err := r.clients.HTTP("follow_redirects: false\n")
	if err != nil {
		return reach.Unsent(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		if reach.Undelivered(err) {
			return reach.Unsent(reach.Unanswered(ctx, err))
		}
		return reach.Unanswered(ctx, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	switch {
	case resp.StatusCode/100 != 2: // also where its body broke off
		return httpclient.After(&httpclient.Error{Status: resp.StatusCode, What: said(raw, j.token)}, resp.Header, r.now())
	case err != nil:
		return reach.Unanswered(ctx, err)
	case json.Unmarshal(raw, into) != nil:
		return errors.New("the answer is not what the API is described to answer")
	}
	return nil
}

// said is what the vendor says of an error, without our key.
func said(raw []byte, token string) string {
	var a struct {
		Message string          `json:"message"`
		Error   json.RawMessage `json:"error"`
	}
	if json.Unmarshal(raw, &a) != nil {
		return ""
	}
	text := cmp.Or(a.Message, strings.Trim(string(a.Error), `[]"`))
	return httpclient.Plain(strings.ReplaceAll(text, token, "(not shown)"), 200)
}

// unseen says why the page can't be used as things stand; "": it is not known
// to be so.
func (j *job) unseen(err error) string {
	switch httpclient.Status(err) {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "the API key is refused: write one that may manage the page into token_file"
	case http.StatusNotFound:
		return "page " + j.Page.PageID + " is not there, or is not the key's: change page_id"
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
		return "the page refuses it: " + err.Error()
	case http.StatusTooManyRequests, statusEnhance:
		return "the page took too many requests"
	}
	return ""
}
