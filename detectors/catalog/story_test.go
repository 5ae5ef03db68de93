package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"go.yaml.in/yaml/v3"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// story is the policy test of an entry: what its source says over time, and
// what then is read and decided. It is plain to read, in testdata/NAME.yaml.
type story struct {
	With map[string]any `yaml:"with"`
	// Keys that the configuration gives beside the entry's.
	Keys map[string]any `yaml:"keys"`
	// Every is the time between two samples, 15s by default; Look between two
	// looks, of the detector's own interval by default.
	Every kind.Duration `yaml:"every"`
	Look  kind.Duration `yaml:"look"`
	// Series are in promtool's notation.
	Series string `yaml:"series"`
	// Lines are of a log, which can't be asked while it is Down.
	Lines []line `yaml:"lines"`
	Down  []span `yaml:"down"`
	// Objects are what a watch of a cluster knows.
	Objects cluster `yaml:"objects"`
	// Acts are in order: each holds at every look after the one before it, up
	// to its own end.
	Acts []act `yaml:"acts"`
}

type act struct {
	Until kind.Duration `yaml:"until"`
	// Reads are all readings, by subject.
	Reads map[string]signalbox.Condition `yaml:"reads"`
	// Does are the verdicts on the open incidents, by subject.
	Does map[string]signalbox.Verdict `yaml:"does"`
}

// start is the moment at which the stories begin.
var start = time.Unix(0, 0).UTC()

func readStory(t *testing.T, name string) story {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
	if err != nil {
		t.Fatalf("each entry has a policy test: %v", err)
	}
	var s story
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

// TestPolicies plays each entry's story: the real evaluation of its queries,
// the detector's own judge, its timing, and a policy that acts by itself.
func TestPolicies(t *testing.T) {
	for _, name := range names() {
		t.Run(name, func(t *testing.T) {
			s := readStory(t, name)
			w := newWorld(t, name, s)
			from := time.Duration(0)
			for _, a := range s.Acts {
				for ; from <= a.Until.Std(); from += w.look {
					reads, does := w.step(start.Add(from))
					if !maps.Equal(reads, a.Reads) {
						t.Fatalf("%s: read %s, want %s\n%s", from, tell(reads), tell(a.Reads), w.says())
					}
					if !maps.Equal(does, a.Does) {
						t.Fatalf("%s: decided %s, want %s\n%s", from, tell(does), tell(a.Does), w.says())
					}
				}
			}
			whole(t, s)
		})
	}
}

// whole asserts that a story has what every story must show.
func whole(t *testing.T, s story) {
	t.Helper()
	seen := map[string]bool{}
	for _, a := range s.Acts {
		for _, c := range a.Reads {
			seen[c.String()] = true
			if c == signalbox.Unknown && len(a.Does) == 0 {
				seen["unknown and no incident"] = true
			}
		}
		for _, v := range a.Does {
			seen[string(v)] = true
		}
	}
	for _, must := range []string{"clear", "breached", "unknown", "unknown and no incident", "act", "hold", "resolve"} {
		if !seen[must] {
			t.Errorf("the story must show %q", must)
		}
	}
	if len(s.Acts) > 0 && len(s.Acts[0].Does) > 0 {
		t.Error("the story must begin with what is well")
	}
}

func tell[V any](m map[string]V) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s: %v", k, m[k]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// asker answers the questions of a detector.
type asker interface {
	Ask(ctx context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer
}

// engine is Prometheus' own engine over its own storage.
type engine struct {
	promql  *promql.Engine
	storage storage.Queryable
}

func newEngine(t *testing.T, every time.Duration, series string) *engine {
	t.Helper()
	s := promqltest.LoadedStorage(t, fmt.Sprintf("load %s\n%s", every, indent(series)))
	t.Cleanup(func() { _ = s.Close() })
	return &engine{promqltest.NewTestEngine(t, false, 0, 1_000_000), s}
}

// indent puts each line where the notation wants it.
func indent(series string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimSpace(series)) {
		b.WriteString("  " + strings.TrimSpace(line) + "\n")
	}
	return b.String()
}

func (e *engine) Ask(ctx context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	answers := make([]signalbox.Answer, len(qs))
	for i, q := range qs {
		answers[i] = signalbox.Answer{Question: q, At: at}
		answers[i].Samples, answers[i].Err = e.instant(ctx, q.Query, at)
	}
	return answers
}

func (e *engine) instant(ctx context.Context, text string, at time.Time) ([]signalbox.Sample, error) {
	q, err := e.promql.NewInstantQuery(ctx, e.storage, nil, text, at)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return nil, res.Err
	}
	vector, ok := res.Value.(promql.Vector)
	if !ok {
		return nil, errors.New("not a vector")
	}
	samples := make([]signalbox.Sample, len(vector))
	for i, s := range vector {
		samples[i] = signalbox.Sample{Labels: s.Metric.Map(), Value: s.F, At: at}
	}
	return samples, nil
}
