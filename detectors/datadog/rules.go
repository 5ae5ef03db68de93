package datadog

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/burnrate"
	"github.com/signalbox/signalbox/detectors/threshold"
	"github.com/signalbox/signalbox/internal/kind"
)

// round9 takes away what a percentage gains when it is carried as a ratio.
func round9(v float64) float64 { return math.Round(v*1e9) / 1e9 }

// Validate reports every rule that the settings break.
func (d *DetectorSettings) Validate(fail kind.Fail) {
	var given []string
	for name, is := range map[string]bool{"slo": d.SLO != nil, "monitor": d.Monitor != nil, "logs": d.Logs != nil} {
		if is {
			given = append(given, name)
		}
	}
	slices.Sort(given)
	if len(given) != 1 {
		fail("", "exactly one of slo, monitor and logs must be given", strings.Join(given, ", "))
		return
	}
	if d.MaxAge < 0 {
		fail("max_age", "must not be negative", d.MaxAge)
	}
	switch {
	case d.SLO != nil:
		d.validateSLO(fail)
	case d.Monitor != nil:
		d.noThresholds(fail, "the monitor's states", true)
		d.validateMonitor(fail)
	default:
		d.validateLogs(fail)
	}
}

// noThresholds refuses thresholds where something else says what is ill.
func (d *DetectorSettings) noThresholds(fail kind.Fail, says string, clear bool) {
	if !d.Breach.Above.IsZero() || !d.Breach.Below.IsZero() {
		fail("breach", "may only say for: "+says+" say what is ill", d.Breach.Bound().String())
	}
	if clear && (!d.Clear.Above.IsZero() || !d.Clear.Below.IsZero()) {
		fail("clear", "may only say for: "+says+" say what is ill", d.Clear.Bound().String())
	}
}

func (d *DetectorSettings) validateSLO(fail kind.Fail) {
	s := d.SLO
	if (s.ID == "") == (s.Name == "") {
		fail("slo", "exactly one of id and name must be given", s.ID)
	}
	if len(s.ID) > maxName/2 || len(s.Name) > maxName/2 {
		fail("slo", fmt.Sprintf("id and name have at most %d bytes", maxName/2), nil)
	}
	if s.Timeframe != "" && !slices.Contains(timeframes, s.Timeframe) {
		fail("slo.timeframe", "must be one of "+strings.Join(timeframes, ", "), s.Timeframe)
	}
	if !s.Target.IsZero() && (s.Target.Unit != signalbox.Number || s.Target.Value <= 0 || s.Target.Value >= 1) {
		fail("slo.target", "must be greater than 0% and less than 100%", s.Target.Text)
	}
	ways := 0
	for _, is := range []bool{len(s.Windows) > 0, s.BudgetLeft != nil, len(s.State) > 0} {
		if is {
			ways++
		}
	}
	if ways > 1 {
		fail("slo", "at most one of windows, budget_left and state may be given: make a detector of each", nil)
		return
	}
	switch {
	case s.BudgetLeft != nil:
		d.noThresholds(fail, "slo.budget_left", false)
		threshold.Validate(budgetPlace(fail), signalbox.Number, threshold.Side{Below: s.BudgetLeft.Below}, d.Clear)
	case len(s.State) > 0:
		d.noThresholds(fail, "slo.state", true)
		for i, state := range s.State {
			if state != "breached" && state != "warning" {
				fail(fmt.Sprintf("slo.state[%d]", i), "must be breached or warning", state)
			}
		}
		if !s.Target.IsZero() {
			fail("slo.target", "can't be given with state, which Datadog computes with the SLO's own", s.Target.Text)
		}
	default:
		d.noThresholds(fail, "slo.windows", true)
		for i, p := range s.Windows {
			validateWindows(fail, fmt.Sprintf("slo.windows[%d]", i), p)
		}
	}
}

// budgetPlace names the place at which the bound of a budget stands.
func budgetPlace(fail kind.Fail) kind.Fail {
	return func(path, rule string, value any) {
		if rest, ok := strings.CutPrefix(path, "breach"); ok {
			path = "slo.budget_left" + rest
		}
		fail(path, rule, value)
	}
}

func validateWindows(fail kind.Fail, path string, p burnrate.Window) {
	switch {
	case p.Short.Std() < leastRange || p.Long.Std() > maxWindow:
		fail(path, "must have windows from 1m to 90d", p.Long.String()+" and "+p.Short.String())
	case p.Short >= p.Long:
		fail(path+".short", "must be shorter than long ("+p.Long.String()+")", p.Short)
	}
	if !(p.Burn > 0) || math.IsInf(p.Burn, 0) {
		fail(path+".burn", "must be a plain number greater than 0", p.Burn)
	}
}

func (d *DetectorSettings) validateMonitor(fail kind.Fail) {
	if d.Monitor.ID <= 0 {
		fail("monitor.id", "must be the monitor's id, as it stands in the address of its page", d.Monitor.ID)
	}
	for i, state := range d.Monitor.State {
		if state != "alert" && state != "warn" {
			fail(fmt.Sprintf("monitor.state[%d]", i), "must be alert or warn", state)
		}
	}
}

// Bounds of a count.
const maxFacets = 4

func (d *DetectorSettings) validateLogs(fail kind.Fail) {
	l := d.Logs
	threshold.Validate(fail, signalbox.Number, d.Breach, d.Clear)
	if strings.TrimSpace(l.Query) == "" {
		fail("logs.query", "must be a query of logs, like service:core-* status:error", nil)
	}
	if l.Presence == "" && !d.Breach.Above.IsZero() {
		fail("logs.presence", "must be given with breach.above, a query like service:core-*: without it a count of 0 may also mean that no logs arrive", nil)
	}
	for i, facet := range l.PresenceBy {
		if l.Presence == "" || !slices.Contains(l.By, facet) {
			fail(fmt.Sprintf("logs.presence_by[%d]", i), "must be one of logs.by, and stands with logs.presence", facet)
		}
	}
	if l.Over.Std() < leastRange || l.Over.Std() > 7*24*time.Hour {
		fail("logs.over", "must be from 1m to 7d", l.Over)
	}
	if len(l.By) > maxFacets {
		fail("logs.by", fmt.Sprintf("must have at most %d facets", maxFacets), len(l.By))
	}
	seen := map[string]bool{}
	for i, facet := range l.By {
		if name := facetLabel(facet); !validLabel(facet) || strings.HasPrefix(name, "__") || seen[name] {
			fail(fmt.Sprintf("logs.by[%d]", i), "must be a facet, like service or @http.host, each once", facet)
		}
		seen[facetLabel(facet)] = true
	}
}
