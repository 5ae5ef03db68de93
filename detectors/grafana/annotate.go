package grafana

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// The tags that mark an annotation as ours, and as an action's.
// Grafana keeps at most 100 characters of a tag.
const (
	ourTag    = "signalbox"
	actionTag = "signalbox-action:"
	maxTag    = 100
	maxNote   = 2_000
)

// note is an annotation as the API has it: times are in milliseconds.
// See https://grafana.com/docs/grafana/latest/developers/http_api/annotations/.
type note struct {
	ID           int64    `json:"id,omitempty"`
	DashboardUID string   `json:"dashboardUID,omitempty"`
	Time         int64    `json:"time,omitempty"`
	TimeEnd      int64    `json:"timeEnd,omitempty"`
	Tags         []string `json:"tags,omitempty"`
	Text         string   `json:"text"`
}

// Annotate implements kind.Annotator: one annotation an action, on the dashboard
// of the detector's panel, found again by its tag.
func (s *Source) Annotate(ctx context.Context, a kind.Annotation) error {
	s.mu.Lock()
	ref, ours := s.boards[a.Detector]
	s.mu.Unlock()
	if !ours {
		return nil
	}
	if a.Action == "" || len(actionTag+a.Action) > maxTag || a.Start.IsZero() {
		return errors.New("an annotation needs an action's id, of at most 80 characters, and its start")
	}
	select { // two callers must not both find none
	case s.writing <- struct{}{}:
	case <-ctx.Done():
		return httpclient.Explain(ctx.Err())
	}
	defer func() { <-s.writing }()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := s.annotate(ctx, ref, a); err != nil {
		return fmt.Errorf("annotation on dashboard %q: %w", ref.Dashboard, err)
	}
	return nil
}

func (s *Source) annotate(ctx context.Context, ref reference, a kind.Annotation) error {
	b, err := s.books.board(ctx, ref.Dashboard)
	if err != nil {
		return err
	}
	want := noteOf(a)
	want.DashboardUID = b.Dashboard.UID
	there, err := s.notes(ctx, b.Dashboard.UID, actionTag+a.Action)
	switch {
	case err != nil:
		return err
	case len(there) == 0:
		return s.client.JSON(ctx, http.MethodPost, "/api/annotations", nil, want, nil, message)
	}
	want.DashboardUID = "" // it can't be moved
	for _, n := range there {
		if n.same(want) {
			continue
		}
		if err := s.client.JSON(ctx, http.MethodPatch, "/api/annotations/"+formatInt(n.ID), nil, want, nil, message); err != nil {
			return err
		}
	}
	return nil
}

// noteOf is the annotation that is wanted. Without an end it is a moment.
func noteOf(a kind.Annotation) note {
	n := note{Time: a.Start.UnixMilli(), TimeEnd: a.Start.UnixMilli(), Text: httpclient.Plain(or(a.Text, "signalbox action "+a.Action), maxNote)}
	if !a.End.IsZero() {
		n.TimeEnd = max(a.End.UnixMilli(), n.Time)
	}
	for _, tag := range append([]string{ourTag, actionTag + a.Action}, a.Tags...) {
		if tag = httpclient.Plain(tag, maxTag); tag != "" && !slices.Contains(n.Tags, tag) {
			n.Tags = append(n.Tags, tag)
		}
	}
	return n
}

func (n note) same(want note) bool {
	return n.Time == want.Time && n.TimeEnd == want.TimeEnd && n.Text == want.Text &&
		slices.Equal(slices.Sorted(slices.Values(n.Tags)), slices.Sorted(slices.Values(want.Tags)))
}

// notes are the annotations on a dashboard that have a tag.
func (s *Source) notes(ctx context.Context, uid, tag string) ([]note, error) {
	var found []note
	err := s.client.JSON(ctx, http.MethodGet, "/api/annotations", url.Values{
		"dashboardUID": {uid}, "tags": {tag}, "type": {"annotation"}, "limit": {"100"},
	}, nil, &found, message)
	if err != nil {
		return nil, err
	}
	// A version that does not know the filter by uid gives those of others too.
	return slices.DeleteFunc(found, func(n note) bool {
		return n.ID == 0 || !slices.Contains(n.Tags, tag) || n.DashboardUID != "" && n.DashboardUID != uid
	}), nil
}
