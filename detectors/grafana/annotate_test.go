package grafana

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/kind"
	standin "github.com/signalbox/signalbox/test/standin/grafana"
)

var _ kind.Annotator = (*Source)(nil)

func annotated(t *testing.T) (*house, kind.Annotation) {
	h := newHouse(t)
	h.SetDashboards(prod(panelOf(7, "Replication lag", "lag")), boardOf("other", "Other", ""))
	h.detector(lagKeys)
	h.AddAnnotation(standin.Annotation{Dashboard: "db-prod", Start: moment, End: moment, Tags: []string{"deploy"}, Text: "v1.2"})
	return h, kind.Annotation{Detector: "replication-lag", Action: "01J0ABC", Start: moment, Text: "flips read-endpoint to b", Tags: []string{"flip"}}
}

// ours are the annotations that we wrote.
func ours(h *house) []string {
	var out []string
	for _, a := range h.Annotations() {
		if slices.Contains(a.Tags, ourTag) {
			out = append(out, fmt.Sprintf("%s %s-%s %s %q", a.Dashboard, a.Start.Format("15:04:05"), a.End.Format("15:04:05"), strings.Join(a.Tags, ","), a.Text))
		}
	}
	return out
}

func annotate(h *house, a kind.Annotation) error { return h.source.Annotate(h.t.Context(), a) }

// An action is annotated once, from its start to its end.
func TestAnnotate(t *testing.T) {
	h, a := annotated(t)
	for range 3 {
		if err := annotate(h, a); err != nil {
			t.Fatal(err)
		}
	}
	check(t, ours(h), `db-prod 00:10:00-00:10:00 signalbox,signalbox-action:01J0ABC,flip "flips read-endpoint to b"`)
	if n := h.Requests("PATCH /api/annotations/2"); n != 0 {
		t.Errorf("%d updates of what is as it should be", n)
	}
	a.End, a.Text = moment.Add(90*time.Second), "flipped read-endpoint to b"
	for range 2 {
		if err := annotate(h, a); err != nil {
			t.Fatal(err)
		}
	}
	check(t, ours(h), `db-prod 00:10:00-00:11:30 signalbox,signalbox-action:01J0ABC,flip "flipped read-endpoint to b"`)
	if n := h.Requests("PATCH /api/annotations/2"); n != 1 {
		t.Errorf("%d updates, want 1", n)
	}
	// The undo is another action.
	undo := a
	undo.Action, undo.Start, undo.End = "01J0ABD", moment.Add(time.Hour), time.Time{}
	if err := annotate(h, undo); err != nil || len(ours(h)) != 2 {
		t.Errorf("got %v, %q", err, ours(h))
	}
}

// The answer is lost after the effect, and the process starts anew: the
// annotation is found, and not written again.
func TestAnnotateAfterACrash(t *testing.T) {
	h, a := annotated(t)
	h.Fail(standin.Fault{Path: "/api/annotations", Status: 200, Body: "[]"}, // the search: none is there yet
		standin.Fault{Path: "/api/annotations", Status: 504, Body: `{"message":"timeout"}`, After: true})
	err := annotate(h, a)
	if err == nil || err.Error() != `annotation on dashboard "DB/Prod": HTTP 504 Gateway Timeout: timeout` || len(ours(h)) != 1 {
		t.Fatalf("got %v, %q", err, ours(h))
	}
	h.source = h.open(h.url)
	h.detector(lagKeys)
	a.End = moment.Add(time.Minute)
	if err := annotate(h, a); err != nil {
		t.Fatal(err)
	}
	check(t, ours(h), `db-prod 00:10:00-00:11:00 signalbox,signalbox-action:01J0ABC,flip "flips read-endpoint to b"`)
}

// Two callers at once write one.
func TestAnnotateAtOnce(t *testing.T) {
	h, a := annotated(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := annotate(h, a); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := ours(h); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

// Annotations of others that look like ours are left alone, and what can't be
// annotated is said.
func TestAnnotateRefuses(t *testing.T) {
	h, a := annotated(t)
	h.AddAnnotation(standin.Annotation{Dashboard: "other", Start: moment, End: moment, Tags: []string{actionTag + a.Action}, Text: "another dashboard's"})
	if err := annotate(h, a); err != nil || len(ours(h)) != 1 {
		t.Errorf("got %v, %q", err, ours(h))
	}
	other := a
	other.Detector = "of-metrics"
	if err := annotate(h, other); err != nil || len(ours(h)) != 1 {
		t.Errorf("a detector without a dashboard: %v, %q", err, ours(h))
	}
	for name, bad := range map[string]kind.Annotation{
		"no action": {Detector: a.Detector, Start: moment}, "no start": {Detector: a.Detector, Action: "x"},
		"a long id": {Detector: a.Detector, Action: strings.Repeat("x", 90), Start: moment},
	} {
		if err := annotate(h, bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	long := a
	long.Action, long.Text, long.Tags = "long", strings.Repeat("ä", 3_000), []string{strings.Repeat("t", 300), "a\nb", "flip", "flip", ""}
	if err := annotate(h, long); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.source.Annotate(ctx, a); err == nil {
		t.Error("an ended context annotates")
	}
	h.SetDashboards()
	h.now = h.now.Add(time.Hour)
	if err := annotate(h, a); err == nil || !strings.Contains(err.Error(), "is not there (any more)") {
		t.Errorf("got %v", err)
	}
}
