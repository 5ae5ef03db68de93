package datadog

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/burnrate"
	"github.com/signalbox/signalbox/detectors/threshold"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/track"
)

// DetectorSettings are the keys of a detector on a source of this kind, beyond
// those that every detector has. Exactly one of SLO, Monitor and Logs is given.
type DetectorSettings struct {
	// An SLO: how fast its error budget burns, what is left of it, or its state.
	SLO *SLO `yaml:"slo,omitempty" json:"slo,omitempty"`
	// The state of a monitor.
	Monitor *Monitor `yaml:"monitor,omitempty" json:"monitor,omitempty"`
	// How many logs match a query.
	Logs *Logs `yaml:"logs,omitempty" json:"logs,omitempty"`
	// When a count of logs is ill; for the others only for how long before an incident opens.
	Breach threshold.Side `yaml:"breach,omitempty" json:"breach,omitzero"`
	// When it is well again, and for how long; absent: when it is not ill.
	Clear threshold.Side `yaml:"clear,omitempty" json:"clear,omitzero"`
	// An incident stays open for so long after the last breach.
	KeepFiringFor kind.Duration `yaml:"keep_firing_for,omitempty" json:"keep_firing_for,omitzero"`
	// What Datadog computed longer ago is Unknown; absent: 30m for an SLO's state, and 15s and two intervals for the rest.
	MaxAge kind.Duration `yaml:"max_age,omitempty" json:"max_age,omitzero"`
}

// SLO says what of an SLO is watched: its burn rate, unless budget_left or
// state is given.
type SLO struct {
	// The SLO's id.
	ID string `yaml:"id,omitempty" json:"id,omitempty"`
	// The SLO's whole name, where its id is not given; it must be the only one of that name.
	Name string `yaml:"name,omitempty" json:"name,omitempty"`
	// Which of its timeframes: 7d, 30d or 90d; absent: the shortest that it has.
	Timeframe string `yaml:"timeframe,omitempty" json:"timeframe,omitempty" jsonschema:"enum=7d,enum=30d,enum=90d"`
	// The target, in place of the SLO's own: 99.9%
	Target kind.Quantity `yaml:"target,omitempty" json:"target,omitzero"`
	// Pairs of windows; absent: 14.4 over 1h and 5m, and 6 over 6h and 30m.
	Windows []burnrate.Window `yaml:"windows,omitempty" json:"windows,omitempty"`
	// What must be left of the error budget.
	BudgetLeft *BudgetLeft `yaml:"budget_left,omitempty" json:"budget_left,omitempty"`
	// The states that are ill, as Datadog has them: breached, warning.
	State []string `yaml:"state,omitempty" json:"state,omitempty"`
}

// BudgetLeft is a bound on what is left of an error budget.
type BudgetLeft struct {
	// Less than this is ill: 10%
	Below kind.Quantity `yaml:"below" json:"below" jsonschema:"required"`
}

// Monitor says which monitor is watched.
type Monitor struct {
	// The monitor's id.
	ID int64 `yaml:"id" json:"id" jsonschema:"required"`
	// The states that are ill, of alert and warn; absent: alert.
	State []string `yaml:"state,omitempty" json:"state,omitempty"`
	// Whether each of its groups is an incident of its own.
	Groups bool `yaml:"groups,omitempty" json:"groups,omitempty"`
}

// Logs says which logs are counted.
type Logs struct {
	// The query, as in Datadog's log explorer: service:core-* status:error
	Query string `yaml:"query" json:"query" jsonschema:"required"`
	// Over how long: 5m
	Over kind.Duration `yaml:"over" json:"over" jsonschema:"required"`
	// The facets of which each value is an incident of its own: service, @http.host
	By []string `yaml:"by,omitempty" json:"by,omitempty"`
	// The indexes; absent: all.
	Indexes []string `yaml:"indexes,omitempty" json:"indexes,omitempty"`
	// A query that finds logs when what is watched writes any: it proves that a count of 0 is one. Required with breach.above.
	Presence string `yaml:"presence,omitempty" json:"presence,omitempty"`
	// Of which facets, of those in by, each value must be present for itself; absent: of all in by.
	PresenceBy []string `yaml:"presence_by,omitempty" json:"presence_by,omitempty"`
}

func newDetectorSettings() *DetectorSettings { return &DetectorSettings{} }

// Unit is the unit of the detector's value: a plain number, always.
func (d *DetectorSettings) Unit() signalbox.Unit { return signalbox.Number }

// Fresh is how old a sample may be that is acted on.
func (d *DetectorSettings) Fresh(interval time.Duration) time.Duration { return d.maxAge(interval) }

// stateMaxAge is the default of max_age for an SLO's state: Datadog's index is
// minutes old.
const stateMaxAge = 30 * time.Minute

func (d *DetectorSettings) maxAge(interval time.Duration) time.Duration {
	switch {
	case d.MaxAge > 0:
		return d.MaxAge.Std()
	case d.SLO != nil && len(d.SLO.State) > 0:
		return stateMaxAge
	}
	return 2*interval + 15*time.Second
}

// Build makes the detector. opened is what this kind's Open returned.
func (d *DetectorSettings) Build(c kind.Common, opened any) (signalbox.Detector, track.Timing, error) {
	timing := track.Timing{For: d.Breach.For.Std(), ClearFor: d.Clear.For.Std(), KeepFiringFor: d.KeepFiringFor.Std()}
	det := &detector{common: c, maxAge: d.maxAge(c.Interval)}
	if s, ok := opened.(*Source); ok {
		det.origin, det.site = s.Origin(), s.site
	}
	if c.Origin != "" {
		det.origin = c.Origin
	}
	switch {
	case d.SLO != nil:
		d.buildSLO(det)
	case d.Monitor != nil:
		states := d.Monitor.State
		if len(states) == 0 {
			states = []string{"alert"}
		}
		det.judge = monitorJudge{ill: states, groups: d.Monitor.Groups}
		det.ask(question{what: asksMonitor, monitor: d.Monitor.ID, groups: d.Monitor.Groups})
	case d.Logs != nil:
		if err := d.buildLogs(det); err != nil {
			return nil, timing, err
		}
	default:
		return nil, timing, fmt.Errorf("detector %s: one of slo, monitor and logs must be given", c.Name)
	}
	return det, timing, nil
}

func (d *DetectorSettings) buildSLO(det *detector) {
	s := d.SLO
	base := question{what: asksHistory, id: s.ID, name: s.Name, timeframe: s.Timeframe, target: round9(s.Target.Value * 100)}
	switch {
	case len(s.State) > 0:
		base.what = asksState
		det.judge = stateJudge{ill: s.State}
		det.ask(base)
	case s.BudgetLeft != nil:
		side := threshold.Side{Below: s.BudgetLeft.Below}
		det.judge = budgetJudge{limits: threshold.Limits{Breach: side.Bound(), Clear: d.Clear.Bound()}}
		det.ask(base)
	default:
		windows := burnrate.Settings{Windows: s.Windows}
		judge := burnJudge{pairs: windows.Pairs(), places: map[time.Duration]int{}}
		for _, w := range windows.Spans() {
			q := base
			q.window = w
			judge.places[w] = det.ask(q)
		}
		det.judge = judge
	}
}

func (d *DetectorSettings) buildLogs(det *detector) error {
	l := d.Logs
	base := question{what: asksLogs, logs: l.Query, over: l.Over.Std(), by: slices.Clone(l.By), indexes: slices.Clone(l.Indexes)}
	judge := logsJudge{
		limits: threshold.Limits{Breach: d.Breach.Bound(), Clear: d.Clear.Bound()}, presence: -1, over: l.Over.Std(), query: l.Query,
	}
	det.ask(base)
	if l.Presence != "" {
		proof := base
		proof.logs, proof.by = l.Presence, slices.Clone(l.presenceBy())
		judge.presence = det.ask(proof)
		for _, facet := range proof.by {
			name := facetLabel(facet)
			if kept := det.common.Labels; len(kept) > 0 && !slices.Contains(kept, name) {
				return fmt.Errorf("detector %s: labels must list %s, by which logs.presence tells its groups, or logs.presence_by must leave it out", det.common.Name, name)
			}
			judge.presenceBy = append(judge.presenceBy, name)
		}
	}
	det.judge = judge
	return nil
}

func (l *Logs) presenceBy() []string {
	if len(l.PresenceBy) > 0 {
		return l.PresenceBy
	}
	return l.By
}

// validLabel reports whether a facet can name a label.
func validLabel(facet string) bool {
	return model.LegacyValidation.IsValidLabelName(facetLabel(facet))
}
