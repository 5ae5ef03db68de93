package rules

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/track"
)

const byInstance = "Load/a"

// An alert is told when it fires, and not before; it ends well while what it
// looks at is measured.
func TestAlertFromPendingToWell(t *testing.T) {
	b := put(t, rule("load > 5", "for: 30s", `labels: {severity: page}`, `annotations: {summary: "load of {{ $labels.instance }} is {{ $value }}", runbook_url: "https://runbooks.example.com/load", note: "x"}`), nil)
	hot := one(9, "__name__", "load", "instance", "a")
	b.say(0, hot)
	b.say(1, hot, one(1, "__name__", "load", "instance", "b"))
	b.see()
	b.see()
	if got := b.judge.Alerts(); len(got) != 1 || got[0].State != Pending {
		t.Fatalf("got %+v, want it pending", got)
	}
	stamp := func(ago time.Duration) {
		sampled := b.at.Add(15*time.Second - ago)
		b.answers["timestamp(load)"] = signalbox.Answer{Samples: []signalbox.Sample{one(float64(sampled.UnixMilli())/1e3, "instance", "a")}}
	}
	stamp(4 * time.Second)
	got := b.see(byInstance + " breached")[byInstance]
	want := signalbox.Reading{Summary: "load of a is 9", Value: 9, HasValue: true, Threshold: "load > 5", Origin: "prometheus:metrics", Confirmed: true}
	if got.Summary != want.Summary || got.Value != 9 || !got.HasValue || got.Threshold != want.Threshold || got.Origin != want.Origin || !got.Confirmed {
		t.Errorf("got %+v", got)
	}
	if age := b.at.Sub(got.SampleAt).Round(time.Millisecond); age != 4*time.Second || !slices.Equal(got.Links, []signalbox.Link{{Text: "runbook", Href: "https://runbooks.example.com/load"}}) {
		t.Errorf("got sample at %s and links %v", got.SampleAt, got.Links)
	}
	if got.Labels["severity"] != "page" || got.Labels["alertname"] != "Load" || got.Labels["instance"] != "a" || len(got.Labels) != 3 {
		t.Errorf("got labels %v", got.Labels)
	}
	b.say(0)
	b.say(1, one(2, "__name__", "load", "instance", "a"))
	stamp(76 * time.Second)
	if got := b.see(byInstance + " unknown")[byInstance]; !strings.Contains(got.Reason, "1m16s old") {
		t.Errorf("a stale sample proves nothing: %+v", got)
	}
	stamp(9 * time.Second)
	if got := b.see(byInstance + " clear")[byInstance]; b.at.Sub(got.SampleAt).Round(time.Millisecond) != 9*time.Second {
		t.Errorf("the end must be told with its sample's time: %+v", got)
	}
	stamp(0)
	b.see(byInstance + " clear")
	for range int(keptWell/(15*time.Second)) + 1 {
		stamp(0)
		b.look()
	}
	b.see()
	if want := []string{byInstance + " breached", byInstance + " unknown", byInstance + " clear"}; !slices.Equal(b.edges, want) {
		t.Errorf("got edges %q, want %q", b.edges, want)
	}
}

// What has ended well is told on while it is measured. When it is not any more,
// or holds again and is only pending, nothing is said of it.
func TestWellIsToldOn(t *testing.T) {
	for name, then := range map[string]func(b *bench){
		"it is not measured": func(b *bench) { b.say(1) },
		"it holds again":     func(b *bench) { b.say(0, one(9, "instance", "a")) },
	} {
		b := put(t, rule("load > 5", "for: 15s"), nil)
		hot, cool := one(9, "instance", "a"), one(1, "instance", "a")
		b.say(0, hot)
		b.say(1, hot)
		b.see()
		b.see(byInstance + " breached")
		b.say(0)
		b.say(1, cool)
		b.see(byInstance + " clear")
		b.restart()
		b.see(byInstance + " clear")
		b.fail(0, errGone)
		b.see(byInstance+" unknown", "g/Load unknown")
		b.say(0)
		b.see(byInstance + " clear")
		then(b)
		if got := b.look(); len(got) != 0 {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// What is not measured any more has not ended, whatever Prometheus says.
func TestEmptinessProvesNothing(t *testing.T) {
	hot := one(9, "instance", "a")
	fires := func(t *testing.T) *bench {
		b := put(t, rule("load > 5"), nil)
		b.say(0, hot)
		b.say(1, hot)
		b.see(byInstance + " breached")
		b.say(0)
		b.say(1)
		return b
	}
	t.Run("the series is gone, and comes back well", func(t *testing.T) {
		b := fires(t)
		if got := b.see(byInstance + " unknown")[byInstance]; !strings.Contains(got.Reason, "not measured any more") {
			t.Errorf("got %q", got.Reason)
		}
		b.say(1, one(1, "instance", "b"))
		b.see(byInstance + " unknown")
		b.say(1, one(1, "instance", "a"))
		b.see(byInstance + " clear")
	})
	t.Run("it is not a number", func(t *testing.T) {
		b := fires(t)
		b.say(1, one(math.NaN(), "instance", "a"))
		b.see(byInstance + " unknown")
	})
	t.Run("the proof can't be read", func(t *testing.T) {
		b := fires(t)
		b.fail(1, errGone)
		b.see(byInstance + " unknown")
	})
	t.Run("it holds again", func(t *testing.T) {
		b := put(t, rule("load > 5", "for: 30s"), nil)
		b.say(0, hot)
		b.say(1, hot)
		b.see()
		b.see()
		b.see(byInstance + " breached")
		b.say(0)
		b.say(1)
		b.see(byInstance + " unknown")
		b.say(0, hot)
		b.see(byInstance + " unknown") // pending again
		b.see(byInstance + " unknown")
		b.see(byInstance + " breached")
	})
}

// Nothing is concluded from a round that failed; the state stays as it was.
func TestFailuresKeepTheState(t *testing.T) {
	b := put(t, rule("load > 5", "for: 1m"), nil)
	hot := one(9, "instance", "a")
	b.say(0, hot)
	b.say(1, hot)
	b.see()
	b.fail(0, errGone)
	b.see("g/Load unknown")
	b.see("g/Load unknown")
	b.say(0, hot)
	b.see()
	b.see(byInstance + " breached") // 1m after it was first seen
	b.answers["load > 5"] = signalbox.Answer{Warnings: []string{"a store is out of reach"}}
	b.see(byInstance+" unknown", "g/Load unknown")
	b.say(0, hot, hot)
	if got := b.see(byInstance+" unknown", "g/Load unknown")[byInstance]; !strings.Contains(got.Reason, "same labels") {
		t.Errorf("got %q", got.Reason)
	}
	b.say(0, hot)
	b.see(byInstance + " breached")
}

func TestKeptFiring(t *testing.T) {
	b := put(t, rule("load > 5", "keep_firing_for: 30s"), nil)
	hot, cool := one(9, "instance", "a"), one(1, "instance", "a")
	b.say(0, hot)
	b.say(1, hot)
	b.see(byInstance + " breached")
	b.say(0)
	b.say(1, cool)
	b.see(byInstance + " breached")
	if got := b.see(byInstance + " breached")[byInstance]; !strings.HasPrefix(got.Summary, "kept firing") || !got.SampleAt.IsZero() {
		t.Errorf("got %+v", got)
	}
	b.see(byInstance + " clear")
}

// Beyond the limit Prometheus forgets a rule's alerts; an incident that is
// open is not forgotten.
func TestLimit(t *testing.T) {
	b := put(t, strings.Replace(rule("load > 5"), "    rules", "    limit: 1\n    rules", 1), nil)
	hot := one(9, "instance", "a")
	b.say(0, hot)
	b.say(1, hot)
	b.see(byInstance + " breached")
	b.say(0, hot, one(9, "instance", "b"))
	b.see(byInstance+" unknown", "g/Load unknown")
	b.say(0, hot)
	b.see(byInstance + " breached")
}

// absent() is proved by its own emptiness: what was absent is there.
func TestAbsence(t *testing.T) {
	b := put(t, rule(`absent(up{instance="a"})`), nil)
	if len(b.judge.Questions()) != 2 || b.judge.Questions()[1].Query != `timestamp(up{instance="a"})` {
		t.Fatalf("got %v", b.judge.Questions())
	}
	b.say(0, one(1, "instance", "a"))
	b.see(byInstance + " breached")
	b.say(0)
	b.see(byInstance + " clear")
}

// After a restart what fires goes on, and ends by the labels that were kept.
func TestRestart(t *testing.T) {
	for _, kept := range [][]string{nil, {"alertname", "instance"}} {
		b := put(t, rule("load > 5", "for: 1h", "labels: {severity: page}"), func(_ *Settings, c *kind.Common) { c.Labels = kept })
		hot := one(9, "instance", "a", "mode", "x")
		b.say(0, hot)
		b.say(1, hot)
		for range 241 {
			b.look()
		}
		b.restart()
		b.see(byInstance + " breached")
		b.restart()
		b.say(0)
		b.say(1)
		b.see(byInstance + " unknown")
		b.say(1, one(1, "instance", "b", "mode", "x"))
		b.see(byInstance + " unknown")
		b.say(1, one(1, "instance", "a", "mode", "x"))
		b.see(byInstance + " clear")
	}
}

// A label that an alert does not have is left out of its subject: it must be
// told all the same.
func TestSubjects(t *testing.T) {
	for template, want := range map[string]string{
		"{{alertname}}/{{instance}}": "Load", "{{instance}}": "Load", "db/{{instance}}": "db", "{{instance}}/{{job}}": "node",
	} {
		b := put(t, rule("load > 5"), func(_ *Settings, c *kind.Common) { c.Subject = subject(t, template) })
		b.say(0, one(9, "job", "node"))
		b.see(want + " breached")
	}
}

// verdict is a verifier that says what it is told to.
type verdict struct {
	kind.DetectorSettings
	said *signalbox.Condition
}

func (v verdict) Build(c kind.Common, _ any) (signalbox.Detector, track.Timing, error) {
	return v, track.Timing{}, nil
}

func (v verdict) Questions() []signalbox.Question {
	return []signalbox.Question{{Source: "metrics", Query: "verifier"}}
}

func (v verdict) Judge(answers []signalbox.Answer, _ map[string]signalbox.Reading, at time.Time) []signalbox.Reading {
	if answers[0].Question.Query != "verifier" {
		panic("another's answer")
	}
	return []signalbox.Reading{{Series: "s", Subject: byInstance, Condition: *v.said, At: at}}
}

func TestVerifier(t *testing.T) {
	said := signalbox.Breached
	b := put(t, rule("load"), func(s *Settings, _ *kind.Common) {
		s.Verifier = &Verifier{kind.Common{Name: "low-load"}, verdict{said: &said}}
	})
	b.say(0, one(9, "instance", "a"), one(9, "instance", "b"))
	b.see(byInstance+" breached", "Load/b breached")
	b.say(0)
	if got := b.see(byInstance+" unknown", "Load/b unknown"); !strings.Contains(got[byInstance].Reason, "low-load says that Load/a is breached") || !strings.Contains(got["Load/b"].Reason, "says nothing of Load/b") {
		t.Errorf("got %+v", got)
	}
	said = signalbox.Clear
	b.see(byInstance+" clear", "Load/b unknown")
}

// A query that a template has written out is asked with the rule.
func TestTemplates(t *testing.T) {
	b := put(t, rule("load > 5", `labels: {severity: '{{ if gt $value 8.0 }}critical{{ else }}warning{{ end }}', gone: '{{ $labels.nothing }}'}`,
		`annotations: {summary: '{{ with query "sum(up)" }}{{ . | first | value }}{{ end }} up, {{ $externalLabels.region }}, {{ externalURL }}', description: '{{ query (printf "%s" "x") }}'}`),
		func(s *Settings, _ *kind.Common) {
			s.ExternalLabels, s.ExternalURL = map[string]string{"region": "eu"}, "https://prometheus.example.com/"
		})
	if got := b.judge.Questions(); len(got) != 4 || got[1].Query != "sum(up)" {
		t.Fatalf("got %v", got)
	}
	b.say(0, one(9, "instance", "a"))
	b.say(1, one(3))
	got := b.see(byInstance + " breached")[byInstance]
	if _, there := got.Labels["gone"]; there || got.Labels["severity"] != "critical" {
		t.Errorf("got %v", got.Labels)
	}
	if want := "3 up, eu, https://prometheus.example.com/: <error expanding template:"; !strings.HasPrefix(got.Summary, want) {
		t.Errorf("got %q", got.Summary)
	}
}

func TestGrid(t *testing.T) {
	g := NewGrid("/etc/rules.yaml", "node", time.Minute, 30*time.Second)
	at := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	slot := g.Slot(at)
	if slot.After(at) || at.Sub(slot) >= time.Minute || g.Slot(slot) != slot || g.Slot(slot.Add(time.Minute-1)) != slot {
		t.Errorf("got %s", slot)
	}
	if got := g.asked(slot.Add(time.Second)); got != slot.Add(-30*time.Second) {
		t.Errorf("an evaluation that is a little late asks for its moment: got %s", got)
	}
	if got := g.asked(slot.Add(20 * time.Second)); got != slot.Add(-10*time.Second) {
		t.Errorf("a look between asks for its own: got %s", got)
	}
}
