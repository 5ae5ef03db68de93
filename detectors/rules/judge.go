package rules

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/freshness"
	"github.com/signalbox/signalbox/internal/kind"
)

// Detector judges one rule. It implements signalbox.Detector and is safe for
// concurrent use, but it is not pure: Prometheus' own state of an alert has
// more to it than a Reading can carry (how long it is pending, since when it is
// kept firing, which samples stood behind it), so the detector remembers it
// between rounds, which come one after the other. What was open before a
// restart it takes from the readings that Judge is given; what was pending
// then waits its `for` again. A configuration that is read again keeps the
// detectors of unchanged rules.
type Detector struct {
	common    kind.Common
	settings  *Settings
	origin    string
	grid      Grid
	window    time.Duration
	maxAge    time.Duration
	ages      *freshness.Query // of the expression; nil: its samples' times can't be asked
	questions []signalbox.Question
	written   []string // the queries of templates, which follow the expression
	proofs    int      // of questions, from here on: those of proof
	verifies  int      // … of the verifier
	stamps    int      // … of ages
	proof     proof
	verifier  signalbox.Detector // nil: proof proves that all is well

	mu       sync.Mutex
	ledger   *ledger
	begun    bool                         // a round was judged
	slot     time.Time                    // of the grid, judged last
	verified map[string]signalbox.Reading // the verifier's last readings, by series
}

// Questions are all that is ever asked.
func (d *Detector) Questions() []signalbox.Question { return slices.Clone(d.questions) }

// QuestionsSince leaves out what is of no use while there is no alert, and none
// can fire at once: the proof of health and the age of samples. So a rule whose
// expression gives nothing costs what it costs Prometheus. The first time all
// is asked: what was open before a restart is known only then. It implements
// signalbox.Follower.
func (d *Detector) QuestionsSince(time.Time) []signalbox.Question {
	d.mu.Lock()
	quiet := d.begun && len(d.ledger.alerts) == 0 && d.settings.Rule.For > 0
	d.mu.Unlock()
	if quiet {
		return slices.Clone(d.questions[:d.proofs])
	}
	return d.Questions()
}

// Grid is when the rule is to be asked for.
func (d *Detector) Grid() Grid { return d.grid }

// Offset is how far into its interval the detector is to be asked.
func (d *Detector) Offset() time.Duration { return d.grid.Offset }

// Group names the rules that are evaluated together.
func (d *Detector) Group() string { return d.settings.Rule.File + ";" + d.settings.Rule.Group }

// Origin is who measures what the rule reads.
func (d *Detector) Origin() string { return d.origin }

// Unproved says why the rule's own expression can't prove health; empty: it
// can, or a verifier does.
func (d *Detector) Unproved() string {
	if d.verifier != nil {
		return ""
	}
	return d.proof.why
}

// Alerts are the rule's alerts as Prometheus would have them now, by labels:
// those that are pending or firing.
func (d *Detector) Alerts() []Alert {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []Alert
	for _, id := range slices.Sorted(maps.Keys(d.ledger.alerts)) {
		if a := d.ledger.alerts[id]; a.State != Inactive {
			out = append(out, *a)
		}
	}
	return out
}

// Judge moves the rule's alerts as Prometheus would, and tells those that fire
// and those that have ended. What is only pending is not told: it is neither
// ill yet nor well.
func (d *Detector) Judge(answers []signalbox.Answer, was map[string]signalbox.Reading, at time.Time) []signalbox.Reading {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.begun = true
	for _, r := range was {
		d.ledger.recall(r)
	}
	if len(answers) != len(d.questions) && len(answers) != d.proofs {
		return d.nothing(fmt.Sprintf("%d answers came to %d questions", len(answers), len(d.questions)), at)
	}
	if why := kind.Faulty(answers[0]); why != "" {
		return d.nothing(why, at)
	}
	r := &round{Detector: d, answers: answers, at: at, ts: d.moment(at), whole: len(answers) == len(d.questions)}
	r.ages = r.aged()
	r.expander = expander{
		alert: d.settings.Rule.Alert, externalLabels: d.settings.ExternalLabels, externalURL: d.settings.ExternalURL,
		at: r.ts, answers: map[string]signalbox.Answer{},
	}
	for i, q := range d.written {
		r.expander.answers[q] = answers[1+i]
	}
	if err := d.ledger.look(r.found(), r.ts); err != nil {
		return d.nothing(err.Error(), at)
	}
	return r.readings()
}

// moment is the time of the evaluation: the first look in a slot of the grid
// is the slot's, however late it is, as in Prometheus. Further looks in it are
// at their own time.
func (d *Detector) moment(at time.Time) time.Time {
	slot := d.grid.Slot(at)
	if slot.Equal(d.slot) {
		return at
	}
	d.slot = slot
	return slot
}

// round is one judgement under way.
type round struct {
	*Detector
	answers  []signalbox.Answer
	at, ts   time.Time
	whole    bool // all was asked
	expander expander
	evidence *evidence
	ages     *freshness.Ages // nil: they were not asked, or not told
}

// found gives each sample the labels of its alert: its own without the
// metric's name, then the rule's, then the alert's name.
func (r *round) found() []found {
	rule := r.settings.Rule
	out := make([]found, 0, len(r.answers[0].Samples))
	for _, s := range r.answers[0].Samples {
		labels := make(map[string]string, len(s.Labels)+len(rule.Labels)+1)
		for n, v := range s.Labels {
			if n != model.MetricNameLabel {
				labels[n] = v
			}
		}
		for n, text := range rule.Labels {
			if labels[n] = r.expander.expand(text, s); labels[n] == "" {
				delete(labels, n)
			}
		}
		labels[model.AlertNameLabel] = rule.Alert
		out = append(out, found{kind.SeriesID(labels), labels, s})
	}
	return out
}

func (r *round) readings() []signalbox.Reading {
	r.evidence = r.gather()
	var out []signalbox.Reading
	for _, id := range slices.Sorted(maps.Keys(r.ledger.alerts)) {
		switch a := r.ledger.alerts[id]; {
		case a.State == Firing:
			out = append(out, r.firing(a))
		case a.told:
			out = append(out, r.ended(a))
		case a.well:
			out = append(out, r.stillWell(a)...)
		}
	}
	return out
}

// firing tells an alert that fires.
func (r *round) firing(a *Alert) signalbox.Reading {
	a.told, a.well = true, false
	r.word(a)
	out := r.reading(a, r.at)
	out.Condition, out.Value, out.HasValue = signalbox.Breached, signalbox.Float(a.Value), !math.IsNaN(a.Value)
	out.Summary, out.Links = a.summary, a.links
	switch {
	case !a.KeptSince.IsZero(): // no sample says that it is ill now: nothing is thrown on it
		out.Summary = "kept firing, its expression does not hold since " + a.KeptSince.Format(time.RFC3339) + ": " + a.summary
	case r.proof.own && r.proof.why == "":
		out.SampleAt = r.answers[0].At
	default:
		out.SampleAt, _ = r.sampled(a)
	}
	return out
}

// ended tells an alert that does not fire any more: well, where that is
// proved, and otherwise Unknown.
func (r *round) ended(a *Alert) signalbox.Reading {
	if a.State != Inactive {
		why := "its expression holds again since " + a.ActiveAt.Format(time.RFC3339) + ", and it fires when that has lasted " + r.settings.Rule.For.String()
		return kind.Unknown(r.reading(a, r.at), why)
	}
	if why := r.evidence.unproved(a); why != "" {
		return kind.Unknown(r.reading(a, r.at), "its expression gives nothing any more, and "+why)
	}
	a.told, a.well, a.wellSince = false, true, r.at
	return r.clear(a, "has ended, and what it looks at is still measured")
}

// keptWell is how long an alert that has ended is told to be well: what was
// done about it is verified, and taken back, on that.
const keptWell = time.Hour

// stillWell tells on that an alert is well. It ends with keptWell, when it
// holds again, and when nothing proves it any more: a pod that is deleted after
// its alert has ended is nobody's trouble.
func (r *round) stillWell(a *Alert) []signalbox.Reading {
	switch {
	case a.State != Inactive:
		a.well = false
		return nil
	case r.evidence.unasked:
		return nil
	case r.evidence.unproved(a) != "":
		delete(r.ledger.alerts, a.series)
		return nil
	}
	out := r.clear(a, "has ended at "+a.wellSince.UTC().Format(time.RFC3339)+", and what it looks at is still measured")
	if r.at.Sub(a.wellSince) >= keptWell {
		delete(r.ledger.alerts, a.series)
		out.EndedAt = r.at
	}
	return []signalbox.Reading{out}
}

func (r *round) clear(a *Alert, why string) signalbox.Reading {
	out := r.reading(a, r.at)
	out.Condition = signalbox.Clear
	out.SampleAt, _ = r.evidence.seen(a)
	out.Summary = out.Subject + ": " + a.Labels[model.AlertNameLabel] + " " + why
	return out
}

// aged reads how old samples are; nil when that is not known.
func (r *round) aged() *freshness.Ages {
	if !r.whole || r.Detector.ages == nil {
		return nil
	}
	answers := r.answers[r.stamps:]
	if slices.ContainsFunc(answers, func(a signalbox.Answer) bool { return kind.Faulty(a) != "" }) {
		return nil
	}
	byQuery := map[string]signalbox.Answer{}
	for _, a := range answers {
		byQuery[a.Question.Query] = a
	}
	return freshness.NewAges(r.Detector.ages, func(q string) signalbox.Answer { return byQuery[q] })
}

// sampled is the time of the oldest sample behind an alert.
func (r *round) sampled(a *Alert) (time.Time, bool) {
	if r.ages == nil {
		return time.Time{}, false
	}
	of := a.base
	if !a.known {
		of = a.Labels
	}
	m, ok := r.ages.Behind(of)
	return m.Oldest, ok
}

// nothing is what is said when nothing can be said of any alert: those that
// are open are Unknown, and their state is as it was.
func (d *Detector) nothing(why string, at time.Time) []signalbox.Reading {
	var out []signalbox.Reading
	for _, id := range slices.Sorted(maps.Keys(d.ledger.alerts)) {
		if a := d.ledger.alerts[id]; a.told || a.well {
			out = append(out, kind.Unknown(d.reading(a, at), why))
		}
	}
	whole := d.reading(&Alert{}, at)
	whole.Subject, whole.Labels = d.common.Name, nil
	return append(out, kind.Unknown(whole, why))
}

func (d *Detector) reading(a *Alert, at time.Time) signalbox.Reading {
	return signalbox.Reading{
		Detector: d.common.Name, Series: a.series, Subject: d.subject(a), Labels: d.kept(a.Labels),
		Threshold: bounded(d.settings.Rule.Expr), Window: d.window, At: at,
		Origin: d.origin, Confirmed: true, Owner: d.common.Owner, Links: d.common.Links,
	}
}

// subject is what is ill. Rules differ in their labels, so that a label which
// an alert does not have is left out of it; with none it is the alert's name.
func (d *Detector) subject(a *Alert) string {
	subject, missing := d.common.Subject.Expand(a.Labels)
	if missing != "" {
		subject = strings.Trim(subject, "/:-_. ")
	}
	if subject == "" {
		return a.Labels[model.AlertNameLabel]
	}
	return subject
}

// kept are the labels that the configuration lists; all, where it lists none.
func (d *Detector) kept(all map[string]string) map[string]string {
	if len(d.common.Labels) == 0 {
		return maps.Clone(all)
	}
	kept := make(map[string]string, len(d.common.Labels))
	for _, n := range d.common.Labels {
		if v, ok := all[n]; ok {
			kept[n] = v
		}
	}
	return kept
}
