package rules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/track"
)

// bench is one rule on a test bench: its answers are set by hand, and its
// readings go through a tracker as the poller's do.
type bench struct {
	t       *testing.T
	judge   *Detector
	tracker *track.Tracker
	at      time.Time
	answers map[string]signalbox.Answer // by query; none: empty
	edges   []string
}

func subject(t testing.TB, text string) kind.Subject {
	t.Helper()
	var s kind.Subject
	if err := s.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return s
}

// commonOf is how a rule of a group with an interval is included.
func commonOf(t testing.TB, interval time.Duration) kind.Common {
	return kind.Common{Name: "g/Load", Source: "metrics", Subject: subject(t, "{{alertname}}/{{instance}}"), Interval: max(time.Second, interval)}
}

// put builds the one rule of a file, which is evaluated every 15s.
func put(t *testing.T, text string, with func(*Settings, *kind.Common)) *bench {
	t.Helper()
	placed, problems := Read("rules.yaml", []byte(text))
	if len(problems) > 0 || len(placed) != 1 {
		t.Fatalf("got %d rules, %v", len(placed), problems)
	}
	s := &Settings{Rule: placed[0].Rule}
	c := kind.Common{Name: "g/" + placed[0].Alert, Source: "metrics", Subject: subject(t, "{{alertname}}/{{instance}}"), Interval: 15 * time.Second}
	if with != nil {
		with(s, &c)
	}
	judge, timing, err := s.Build(c, nil)
	if err != nil || timing != (track.Timing{}) {
		t.Fatalf("got timing %v, %v", timing, err)
	}
	b := &bench{t: t, judge: judge.(*Detector), tracker: track.New(timing, 0), answers: map[string]signalbox.Answer{}}
	b.at = b.judge.Grid().Slot(time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC))
	return b
}

// restart builds the detector anew; what is open is restored.
func (b *bench) restart() {
	b.t.Helper()
	judge, timing, err := b.judge.settings.Build(b.judge.common, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	open := b.tracker.Open()
	for _, r := range b.tracker.Last() { // its incident waits for something else, as the store has it
		if r.Condition == signalbox.Clear {
			open = append(open, r)
		}
	}
	b.judge, b.tracker = judge.(*Detector), track.New(timing, 0)
	b.tracker.Restore(open, b.at)
}

func one(value float64, labels ...string) signalbox.Sample {
	s := signalbox.Sample{Value: value, Labels: map[string]string{}}
	for pair := range slices.Chunk(labels, 2) {
		s.Labels[pair[0]] = pair[1]
	}
	return s
}

// say sets what the n-th question is answered with.
func (b *bench) say(n int, samples ...signalbox.Sample) {
	b.answers[b.judge.Questions()[n].Query] = signalbox.Answer{Samples: samples}
}

func (b *bench) fail(n int, err error) {
	b.answers[b.judge.Questions()[n].Query] = signalbox.Answer{Err: err}
}

// look is one evaluation, 15s after the last: the readings by their subjects.
func (b *bench) look() map[string]signalbox.Reading {
	b.t.Helper()
	b.at = b.at.Add(15 * time.Second)
	source := asker(func(q signalbox.Question) signalbox.Answer { return b.answers[q.Query] })
	answers := (&Clock{Source: source, Grid: b.judge.Grid()}).Ask(b.t.Context(), b.judge.QuestionsSince(time.Time{}), b.at.Add(20*time.Millisecond))
	readings, edges := b.tracker.Step(b.judge.Judge(answers, b.tracker.Last(), b.at), b.at)
	for _, e := range edges {
		b.edges = append(b.edges, e.Subject+" "+e.Condition.String())
	}
	out := map[string]signalbox.Reading{}
	for _, r := range readings {
		if _, twice := out[r.Subject]; twice {
			b.t.Fatalf("two readings of %s", r.Subject)
		}
		out[r.Subject] = r
	}
	return out
}

// see looks, and holds what is told against "subject condition", in order.
func (b *bench) see(want ...string) map[string]signalbox.Reading {
	b.t.Helper()
	got := b.look()
	list := []string{}
	for s, r := range got {
		list = append(list, s+" "+r.Condition.String())
	}
	slices.Sort(list)
	if !slices.Equal(list, append([]string{}, want...)) {
		b.t.Fatalf("at %s: got %q, want %q", b.at.Format("15:04:05"), list, want)
	}
	return got
}

type asker func(signalbox.Question) signalbox.Answer

func (a asker) Ask(_ context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	out := make([]signalbox.Answer, len(qs))
	for i, q := range qs {
		out[i] = a(q)
		out[i].Question, out[i].At = q, at
	}
	return out
}

var errGone = errors.New("connection refused")

func rule(expr string, more ...string) string {
	text := fmt.Sprintf("groups:\n  - name: g\n    rules:\n      - alert: Load\n        expr: %q\n", expr)
	for _, m := range more {
		text += "        " + m + "\n"
	}
	return text
}
