package engine

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

// A decision that read what one before it in the transaction changes must not be
// added to it: its incident, and those on its subject.
func TestTogetherKnowsWhatItChanges(t *testing.T) {
	book, err := policy.New(policy.Config{Hash: "one", DefaultOwner: "devops"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := newLoop(New(Options{Now: func() time.Time { return now }, Registerer: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)}, &Set{Handbook: book, DefaultOwner: "devops"}))
	l.state.PutIncident(&signalbox.Incident{ID: "a", Reading: signalbox.Reading{Detector: "d", Subject: "db/eu"}})
	about := func(keys ...signalbox.Key) []signalbox.Key { return keys }

	g := l.together(now)
	if g.changes(about(signalbox.IncidentKey("a"), signalbox.SubjectKey("db/eu"))) {
		t.Error("it changes something before anything was added")
	}
	g.add(&signalbox.Decision{Incident: "a", Verdict: signalbox.Hold})
	for _, k := range about(signalbox.IncidentKey("a"), signalbox.SubjectKey("db/eu")) {
		if !g.changes(about("controls", k)) {
			t.Errorf("it changes %s, and does not know it", k)
		}
	}
	if g.changes(about("controls", signalbox.IncidentKey("b"), signalbox.SubjectKey("db/us"))) {
		t.Error("it says that it changes what it does not")
	}
}
