package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	ready "github.com/signalbox/signalbox/detectors/catalog"
	"github.com/signalbox/signalbox/detectors/loki"
	"github.com/signalbox/signalbox/detectors/prometheus"
	"github.com/signalbox/signalbox/internal/config"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/track"
	"github.com/signalbox/signalbox/remediators/page"
	"github.com/signalbox/signalbox/test/servers"
)

// watch is a detector of the catalogue on a real Prometheus, asked once a
// second or so, with its edges.
type watch struct {
	t        *testing.T
	source   signalbox.Source
	detector signalbox.Detector
	tracker  *track.Tracker
	open     map[string]bool // by subject
	last     []signalbox.Reading
}

// configure loads detectors of the catalogue, as a user writes them.
func configure(t *testing.T, source string, detectors ...string) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "handbook.yaml")
	text := `default_owner: devops
owners: {devops: {primary: "@sre-lead", escalation: pagerduty, pagerduty: {primary_key_env: KEY}}}
sources: {` + source + `}
detectors:
`
	for _, d := range detectors {
		text += "  - " + d + "\n"
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	kinds := config.Kinds{Sources: []kind.Source{loki.Kind(), prometheus.Kind()}, Remediators: []kind.Remediator{page.Kind()}, Catalog: ready.Catalog{}}
	cfg, err := config.Load(path, kinds, config.Options{LookupEnv: func(string) (string, bool) { return "x", true }})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// watching makes a watch of each detector on a Prometheus.
func watching(t *testing.T, url string, detectors ...string) []*watch {
	t.Helper()
	return watchingOn(t, fmt.Sprintf("metrics: {kind: prometheus, url: %q}", url), detectors...)
}

// watchingOn makes a watch of each detector on a source, which is written as in
// a configuration.
func watchingOn(t *testing.T, source string, detectors ...string) []*watch {
	t.Helper()
	cfg := configure(t, source, detectors...)
	src := cfg.Sources[0]
	opened, err := src.Kind.Open(src.Name, src.Settings, kind.Env{Log: slog.New(slog.DiscardHandler), Now: time.Now, Agent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	var out []*watch
	for _, d := range cfg.Detectors {
		judge, timing, err := d.Settings.Build(d.Common, opened)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, &watch{
			t: t, source: opened.(signalbox.Source), detector: judge, open: map[string]bool{},
			tracker: track.New(timing, servers.Patience),
		})
	}
	return out
}

// look asks once.
func (w *watch) look(ctx context.Context) {
	at := time.Now()
	questions := w.detector.Questions()
	if f, ok := w.detector.(signalbox.Follower); ok {
		questions = f.QuestionsSince(w.tracker.Good())
	}
	answers := w.source.Ask(ctx, questions, at)
	w.last = w.detector.Judge(answers, w.tracker.Last(), at)
	_, edges := w.tracker.Step(w.last, at)
	for _, e := range edges {
		switch e.Condition {
		case signalbox.Breached:
			w.open[e.Subject] = true
		case signalbox.Clear:
			delete(w.open, e.Subject)
		case signalbox.Unknown:
		}
	}
}

// await looks until a subject reads as a condition, and its incident is open or
// not.
func (w *watch) await(what, subject string, condition signalbox.Condition, open bool) {
	w.t.Helper()
	servers.Await(w.t, 2*servers.Patience, what, func(ctx context.Context) error {
		if w.look(ctx); ctx.Err() != nil {
			return ctx.Err()
		}
		for _, r := range w.last {
			if r.Subject == subject && r.Condition == condition && w.open[subject] == open {
				w.t.Logf("%s: %s", what, r.Summary)
				return nil
			}
		}
		return errors.New(w.says())
	})
}

func (w *watch) says() string {
	parts := make([]string, 0, len(w.last))
	for _, r := range w.last {
		parts = append(parts, fmt.Sprintf("%s (%s, open: %v)", r.Summary, r.Condition, w.open[r.Subject]))
	}
	return "it reads " + strings.Join(parts, "; ")
}
