package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/freshness"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/track"
)

// Rule is one alerting rule, as its file has it.
type Rule struct {
	File, Group   string
	Alert         string
	Expr          string
	For           time.Duration
	KeepFiringFor time.Duration
	Labels        map[string]string // templates; those of the group are among them
	Annotations   map[string]string // templates
	Interval      time.Duration     // of the group; 0: the file's inclusion says
	QueryOffset   time.Duration
	Limit         int // of alerts; 0: none
}

// Verifier is another detector that proves health where the rule itself can't,
// or is not to.
type Verifier struct {
	Common   kind.Common
	Settings kind.DetectorSettings
}

// Settings is one rule, and how it was included. It implements
// kind.DetectorSettings.
type Settings struct {
	Rule           Rule
	ExternalLabels map[string]string // {{ $externalLabels }}
	ExternalURL    string            // {{ $externalURL }}
	Verifier       *Verifier         // nil: the rule's own expression, without its comparisons
}

// String tells one definition from another.
func (s *Settings) String() string {
	text := fmt.Sprintf("%+v %v %q", s.Rule, s.ExternalLabels, s.ExternalURL)
	if v := s.Verifier; v != nil {
		text += fmt.Sprintf(" verified by %+v %+v", v.Common, v.Settings)
	}
	return text
}

// Validate reports nothing: Read has.
func (*Settings) Validate(kind.Fail) {}

// Unit is the unit of an alert's value: rules name none.
func (*Settings) Unit() signalbox.Unit { return signalbox.Number }

// Build makes the detector, a *Detector. Its timing is none: it counts `for`
// and `keep_firing_for` itself, as Prometheus does. opened is what the source's
// Open returned.
func (s *Settings) Build(c kind.Common, opened any) (signalbox.Detector, track.Timing, error) {
	expr, err := parser.ParseExpr(s.Rule.Expr)
	if err != nil {
		return nil, track.Timing{}, fmt.Errorf("detector %s: expr must be PromQL: %w", c.Name, err)
	}
	d := &Detector{
		common: c, settings: s, origin: "prometheus:" + c.Source, window: reach(expr),
		maxAge: maxAge(c.Interval),
		grid:   NewGrid(s.Rule.File, s.Rule.Group, c.Interval, s.Rule.QueryOffset),
		ledger: newLedger(s.Rule),
	}
	if o, ok := opened.(interface{ Origin() string }); ok {
		d.origin = o.Origin()
	}
	if c.Origin != "" {
		d.origin = c.Origin
	}
	if d.ages, err = freshness.Parse(s.Rule.Expr); err != nil {
		d.ages = nil // nothing tells how old its samples are: nothing is thrown on them
	}
	d.proof = derive(expr, d.maxAge)
	if v := s.Verifier; v != nil {
		if d.verifier, _, err = v.Settings.Build(v.Common, opened); err != nil {
			return nil, track.Timing{}, fmt.Errorf("detector %s: verifier: %w", c.Name, err)
		}
	}
	d.plan()
	return d, track.Timing{}, nil
}

// plan lays out the questions: the expression and the queries that its
// templates have written out; then what proves health, derived of the
// expression; then what the verifier asks; then how old the samples are.
func (d *Detector) plan() {
	ask := func(queries ...string) {
		for _, q := range queries {
			d.questions = append(d.questions, signalbox.Question{Source: d.common.Source, Query: q})
		}
	}
	r := d.settings.Rule
	texts := append(slices.Collect(maps.Values(r.Labels)), slices.Collect(maps.Values(r.Annotations))...)
	d.written, _ = queries(texts...)
	ask(strings.TrimSpace(r.Expr))
	ask(d.written...)
	d.proofs = len(d.questions)
	ask(d.proof.parts...)
	d.verifies = len(d.questions)
	if d.verifier != nil {
		d.questions = append(d.questions, d.verifier.Questions()...)
	}
	d.stamps = len(d.questions)
	if d.ages != nil {
		ask(d.ages.Questions()...)
	}
}

// maxAge is how old a sample may be that proves something: as old as the next
// one is due at Prometheus' default scrape interval, or two evaluations.
func maxAge(interval time.Duration) time.Duration {
	return max(75*time.Second, 2*interval+15*time.Second)
}
