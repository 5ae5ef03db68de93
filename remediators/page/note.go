package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// mostNote is how many characters of a note are sent.
const mostNote = 4096

// refusals are the answers after which a note, a status update or a request
// would be refused again: the account lacks the ability, the incident is gone.
var refusals = []int{
	http.StatusBadRequest, http.StatusPaymentRequired, http.StatusForbidden, http.StatusNotFound, http.StatusRequestEntityTooLarge,
}

// TakesNotes reports whether the owner has an API key, with which notes are told.
func (r *Remediator) TakesNotes(spec json.RawMessage) bool {
	p, err := apiOf(spec)
	return err != nil || p != nil // what is wrong with it is for Note to say
}

// Note tells more on the incident of a page: a note on its timeline, an update
// to its subscribers, or a request for responders. It returns nil when it is
// told, or where the owner has no API key and it is told nowhere; a *signalbox.Failure where it would be refused again, and otherwise it
// may be told again: a note, or a request, that is there already is not
// doubled. A status update can't be read back, and may come twice.
func (r *Remediator) Note(ctx context.Context, spec json.RawMessage, key string, n signalbox.Note) error {
	p, err := apiOf(spec)
	if err != nil || p == nil {
		return err
	}
	in, err := r.find(ctx, p, key)
	if err != nil {
		return err
	}
	if in == nil { // an event becomes an incident a little later
		return errors.New("pagerduty: there is no incident of this page yet")
	}
	text := dated(n)
	switch n.Kind {
	case signalbox.PlainNote:
		return r.note(ctx, p, in, text)
	case signalbox.StatusUpdate:
		err := r.call(ctx, p, call{method: http.MethodPost, path: in.path("/status_updates"), body: map[string]string{"message": text}})
		return refused(err, "the status update is refused", refusals...)
	case signalbox.Responders:
		return r.ask(ctx, p, in, text)
	}
	return &signalbox.Failure{Reason: "pagerduty", Err: fmt.Errorf("note: must be of kind note, status or responder, got %q", n.Kind)}
}

// dated is a note's text with its time, which tells it from the same words at
// another time.
func dated(n signalbox.Note) string {
	return plain(n.At.UTC().Format(time.RFC3339)+" "+n.Text, mostNote)
}

func (in *incident) path(rest string) string { return "/incidents/" + url.PathEscape(in.ID) + rest }

type note struct {
	Content string `json:"content"`
}

func (r *Remediator) note(ctx context.Context, p *api, in *incident, text string) error {
	var had struct {
		Notes []note `json:"notes"`
	}
	if err := r.call(ctx, p, call{method: http.MethodGet, path: in.path("/notes"), into: &had}); err != nil {
		return refused(err, "the notes can't be read", refusals...)
	}
	for _, n := range had.Notes {
		if n.Content == text {
			return nil
		}
	}
	err := r.call(ctx, p, call{method: http.MethodPost, path: in.path("/notes"), body: map[string]note{"note": {text}}})
	return refused(err, "the note is refused", refusals...)
}

// ask requests the owner's responders.
func (r *Remediator) ask(ctx context.Context, p *api, in *incident, text string) error {
	if len(p.Responders) == 0 {
		return &signalbox.Failure{Reason: "pagerduty", Err: errors.New("the owner has no responders")}
	}
	for _, was := range in.ResponderRequests {
		if was.Message == text {
			return nil
		}
	}
	type target struct {
		Target reference `json:"responder_request_target"`
	}
	targets := make([]target, 0, len(p.Responders))
	for _, who := range p.Responders {
		t := reference{ID: who.User, Type: "user_reference"}
		if who.User == "" {
			t = reference{ID: who.EscalationPolicy, Type: "escalation_policy_reference"}
		}
		targets = append(targets, target{t})
	}
	err := r.call(ctx, p, call{method: http.MethodPost, path: in.path("/responder_requests"), body: map[string]any{
		"requester_id": p.Requester, "message": text, "responder_request_targets": targets,
	}})
	return refused(err, "the request for responders is refused", refusals...)
}
