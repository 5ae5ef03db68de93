package datadog

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/threshold"
	"github.com/signalbox/signalbox/internal/kind"
)

// monitorJudge judges a monitor's state, or those of its groups.
type monitorJudge struct {
	ill    []string // alert, warn
	groups bool
}

func (j monitorJudge) judge(r *round) []signalbox.Reading {
	samples, why := r.samples(0)
	if why == "" && len(samples) == 0 {
		why = "the answer holds no state"
	}
	if why != "" {
		return r.nothing(why)
	}
	var readings []signalbox.Reading
	there, whole := map[string]bool{}, ""
	for _, s := range samples {
		group, grouped := s.Labels[groupLabel]
		if !grouped {
			whole = s.Labels[stateLabel]
		}
		if grouped != j.groups {
			continue
		}
		out := j.one(r, s, group)
		there[out.Series] = true
		readings = append(readings, out)
	}
	readings = append(readings, j.gone(r, there, whole)...)
	if len(readings) == 0 && whole != "OK" { // no group, and nothing that proves that there is none that is ill
		return r.nothing("the monitor has no groups, and its state is " + whole)
	}
	return readings
}

func (j monitorJudge) one(r *round, s signalbox.Sample, group string) signalbox.Reading {
	id, state := s.Labels["monitor_id"], s.Labels[stateLabel]
	out, ok := r.series(seriesID("monitor", id, group), s, r.link("Monitor in Datadog", "/monitors/"+url.PathEscape(id), nil)...)
	out.Threshold = "state " + fmt.Sprint(j.ill)
	if !ok {
		return out
	}
	switch state {
	case "Alert", "Warn":
		out.Condition = signalbox.Clear
		if slices.Contains(j.ill, strings.ToLower(state)) {
			out.Condition = signalbox.Breached
		}
	case "OK":
		out.Condition = signalbox.Clear
	default: // No Data, Skipped, Unknown, Ignored, and what is new
		return kind.Unknown(out, "the monitor's state is "+state)
	}
	out.Summary = out.Subject + ": the monitor's state is " + state
	return out
}

// gone judges the groups that are known and not told any more: well where the
// whole monitor is, else Unknown.
func (j monitorJudge) gone(r *round, there map[string]bool, whole string) []signalbox.Reading {
	readings := r.others(there, "the monitor does not tell of the group any more")
	if whole != "OK" || !j.groups {
		return readings
	}
	for i, out := range readings {
		out = r.again(out.Series)
		out.Condition, out.SampleAt, out.EndedAt, out.Suppressed = signalbox.Clear, r.at, r.at, ""
		out.Summary = out.Subject + ": the group is gone, and the monitor's state is OK"
		readings[i] = out
	}
	return readings
}

// logsJudge judges counts of logs. A count of 0 is one only where presence
// finds logs of the same group; without presence it is taken as it is.
type logsJudge struct {
	limits     threshold.Limits
	query      string
	presence   int      // place of its answer; negative: there is none
	presenceBy []string // labels
	over       time.Duration
}

func (j logsJudge) judge(r *round) []signalbox.Reading {
	samples, why := r.samples(0)
	if why != "" {
		return r.nothing(why)
	}
	found, why := j.found(r)
	if why != "" && !slices.ContainsFunc(samples, func(s signalbox.Sample) bool { return s.Value > 0 }) {
		return r.nothing(why)
	}
	readings := make([]signalbox.Reading, 0, len(samples)+len(r.was))
	there := map[string]bool{}
	for _, s := range samples {
		parts := []string{"logs"}
		for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
			parts = append(parts, name, s.Labels[name])
		}
		id := seriesID(parts...)
		if there[id] {
			return r.nothing("two groups of the count have the same name")
		}
		there[id] = true
		out, ok := r.series(id, s, j.links(r)...)
		if ok {
			out = j.one(r, out, s.Value, found, why)
		}
		readings = append(readings, out)
	}
	for _, out := range r.others(there, "") { // all groups were told: of the rest there are none
		out = r.again(out.Series)
		out.SampleAt = r.at
		readings = append(readings, j.one(r, out, 0, found, why))
	}
	return readings
}

// found returns the groups of which presence finds logs, or why none is.
func (j logsJudge) found(r *round) (groups map[string]bool, why string) {
	if j.presence < 0 {
		return nil, ""
	}
	samples, why := r.samples(j.presence)
	if why != "" {
		return nil, "its presence is unknown: " + why
	}
	groups = map[string]bool{}
	for _, s := range samples {
		if s.Value > 0 {
			groups[j.group(s.Labels)] = true
		}
	}
	if len(groups) == 0 {
		return nil, "presence finds no logs, so what is watched writes none, or they don't arrive"
	}
	return groups, ""
}

// group names what presence tells apart.
func (j logsJudge) group(labels map[string]string) string {
	parts := make([]string, 0, len(j.presenceBy))
	for _, name := range j.presenceBy {
		parts = append(parts, labels[name])
	}
	return seriesID(parts...)
}

// one judges the count of one group; found and why are what presence says.
func (j logsJudge) one(r *round, out signalbox.Reading, n float64, found map[string]bool, why string) signalbox.Reading {
	out.Threshold, out.Window = j.limits.Breach.String(), j.over
	if n == 0 && j.presence >= 0 && !found[j.group(out.Labels)] {
		if why == "" {
			why = "presence finds no logs of it, so it writes none, or they don't arrive"
		}
		return kind.Unknown(out, why)
	}
	condition, why := j.limits.Judge(n, r.was[out.Series].Condition)
	if condition == signalbox.Unknown {
		return kind.Unknown(out, why)
	}
	out.Condition, out.Value, out.HasValue = condition, signalbox.Float(n), true
	if n == 0 && condition == signalbox.Clear && len(out.Labels) > 0 && r.was[out.Series].Condition == signalbox.Clear {
		out.EndedAt = r.at // a group that is well and silent need not be known any more
	}
	out.Summary = fmt.Sprintf("%s: %s logs over %s, %s", out.Subject, number(n), kind.Duration(j.over), why)
	return out
}

func (j logsJudge) links(r *round) []signalbox.Link {
	ms := func(t time.Time) []string { return []string{strconv.FormatInt(t.UnixMilli(), 10)} }
	return r.link("Logs in Datadog", "/logs", url.Values{
		"query": {j.query}, "from_ts": ms(r.at.Add(-j.over)), "to_ts": ms(r.at), "live": {"false"},
	})
}
