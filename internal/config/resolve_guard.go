package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/policy"
)

func (l *loader) guards(s spot) {
	s = s.asBlock("")
	var keys guardKeys
	fill(reflect.ValueOf(&keys).Elem())
	from := len(s.report.list)
	if s.has() {
		l.settle(s, nil, &keys)
	}
	c := &l.cfg.Policy
	c.Budget, c.Ineffective, c.DependWait, c.AcknowledgeTakes = rates(keys.Budget), keys.Ineffective, keys.DependWait.Std(), keys.AcknowledgeTakes
	c.Flapping = policy.Flapping{Window: keys.Flapping.Window.Std(), After: keys.Flapping.After, Pause: keys.Flapping.Pause.Std(), Stop: keys.Flapping.Stop}
	if !slices.ContainsFunc(s.report.list[from:], func(p Problem) bool { return strings.HasPrefix(p.Path, "flapping") }) {
		flapping(s.key("flapping"), c.Flapping)
	}
	for _, scope := range words(keys.Budgets) {
		l.scopeRule(s.find("budgets").key(scope), scope)
		if strings.Contains(scope, "*") {
			s.find("budgets").key(scope).fail("must be of one scope: a budget with * would bound nothing", scope)
		}
		c.Budgets = append(c.Budgets, policy.ScopedRates{Scope: scope, Rates: rates(keys.Budgets[scope])})
	}
	for _, name := range words(keys.BlastRadius) {
		l.blast(s.key("blast_radius").key(name), name, keys.BlastRadius[name])
	}
	seen := map[string]Place{}
	for i, f := range keys.Freeze {
		at := s.find(fmt.Sprintf("freeze[%d]", i))
		once(at, f.Name, seen)
		l.freeze(at, f)
	}
	for i, ch := range keys.Changes {
		at := s.find(fmt.Sprintf("changes[%d]", i))
		once(at, "change "+ch.Name, seen)
		reference(at.key("detector"), "a detector", l.detectorOf)
		l.changes = append(l.changes, ch.Name)
		c.Changes = append(c.Changes, policy.Change{Name: ch.Name, Migration: ch.Kind == "migration", Detector: ch.Detector, Subject: ch.Subject.String()})
	}
	if at := s.key("silences"); keys.Silences != "" {
		if src, _ := reference(at, "a source", l.sourceOf); src != nil && src.Kind.Name != "alertmanager" {
			at.fail("must be a source of kind alertmanager", keys.Silences)
		}
		l.cfg.Silences, c.Silences = keys.Silences, true
	}
}

// flapping reports what is beyond the openings that are kept.
func flapping(s spot, f policy.Flapping) {
	if at := s.key("window"); at.has() && (f.Window <= 0 || f.Window > policy.MaxFlapWindow) {
		at.fail("must be above 0 and at most "+kind.Duration(policy.MaxFlapWindow).String()+": the openings of a subject are kept for so long", kind.Duration(f.Window))
	}
	if at := s.key("pause"); at.has() && f.Pause <= 0 {
		at.fail("must be above 0", kind.Duration(f.Pause))
	}
	switch at := s.key("stop"); {
	case f.Stop > policy.MaxFlapStop:
		at.fail(fmt.Sprintf("must be at most %d: so many openings of a subject are kept", policy.MaxFlapStop), f.Stop)
	case f.Stop <= f.After && at.has():
		at.fail(fmt.Sprintf("must be more than after (%d)", f.After), f.Stop)
	case f.Stop <= f.After:
		s.key("after").fail(fmt.Sprintf("must be less than stop (%d)", f.Stop), f.After)
	}
}

func (l *loader) blast(s spot, name string, keys blastKeys) {
	for _, item := range items(s.key("detectors")) {
		reference(item, "a detector", l.detectorOf)
	}
	l.cfg.Policy.Blast = append(l.cfg.Policy.Blast, policy.Blast{
		Name: name, Detectors: keys.Detectors, By: keys.By, Share: float64(keys.Share), Floor: max(keys.Floor, 1), Mass: float64(keys.Mass), Within: keys.Within.Std(),
	})
}

// freeze is one time in which nothing is thrown: exactly one way to say when.
func (l *loader) freeze(s spot, f freezeKeys) {
	span := !f.From.IsZero() || !f.To.IsZero()
	recurs := len(f.Times)+len(f.Weekdays)+len(f.DaysOfMonth)+len(f.Months)+len(f.Years) > 0
	ways := 0
	for _, given := range []bool{span, recurs, f.Calendar != nil} {
		if given {
			ways++
		}
	}
	out := policy.Freeze{Name: f.Name}
	switch {
	case ways != 1:
		s.fail("must have exactly one of from with to, times that recur (times, weekdays, days_of_month, months, years), and calendar", nil)
		return
	case span && f.From.IsZero():
		if !s.key("from").has() { // else it is no time, which was reported
			s.key("from").fail("is required with to", nil)
		}
	case span && f.To.IsZero():
		if !s.key("to").has() {
			s.key("to").fail("is required with from", nil)
		}
	case span && !f.From.Before(f.To):
		s.key("to").fail("must be after from ("+f.From.Format(time.RFC3339)+")", f.To.Format(time.RFC3339))
	case span:
		out.From, out.To = f.From, f.To
	case recurs:
		if covers := recurring(s, f); covers != nil {
			out.Covers, out.Ends, out.Times = covers, ends(covers), f.times()
		}
	default:
		out.Calendar, out.CalendarAge = f.Name, f.Calendar.MaxAge.Std()
		l.calendar(s.key("calendar"), f)
	}
	l.cfg.Policy.Freeze = append(l.cfg.Policy.Freeze, out)
}

func (l *loader) calendar(s spot, f freezeKeys) {
	c := &Calendar{Name: f.Name, URL: f.Calendar.URL, Refresh: f.Calendar.Refresh.Std(), MaxAge: f.Calendar.MaxAge.Std()}
	if (f.Calendar.File == "") == (f.Calendar.URL == "") {
		s.fail("must have exactly one of file and url", nil)
	}
	if f.Calendar.File != "" {
		c.File = f.Calendar.File
		if !filepath.IsAbs(c.File) {
			c.File = filepath.Join(l.dir, c.File)
		}
	}
	address(s, len(s.report.list), "url", f.Calendar.URL)
	atLeast(s, "refresh", f.Calendar.Refresh, time.Minute)
	l.cfg.Calendars = append(l.cfg.Calendars, c)
}

func (l *loader) dependency(s spot) {
	var keys dependencyKeys
	l.settle(s, nil, &keys)
	l.cfg.Policy.Depends = append(l.cfg.Policy.Depends, policy.Dependency{Subject: keys.Subject, On: keys.On})
}
