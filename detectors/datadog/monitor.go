package datadog

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/DataDog/datadog-api-client-go/v2/api/datadogV1"
	v2 "github.com/DataDog/datadog-api-client-go/v2/api/datadogV2"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
)

// Labels of samples that are for the judge alone.
const (
	stateLabel = "__state__" // a state, in Datadog's words
	mutedLabel = "__muted__" // the downtime or mute that it is under
)

// maxGroups bounds the groups of one monitor.
const maxGroups = 20_000

// monitor asks for the state of a monitor: one sample, and where its groups
// are asked for one a group as well. Their values say nothing. The sample of
// the whole is the one without the label group.
func (s *Source) monitor(ctx context.Context, q question, at time.Time) ([]signalbox.Sample, error) {
	m, err := call(ctx, s, "monitor", func(ctx context.Context) (v1.Monitor, *http.Response, error) {
		o := v1.NewGetMonitorOptionalParameters().WithWithDowntimes(true)
		if q.groups {
			o = o.WithGroupStates("all")
		}
		return s.monitors.GetMonitor(ctx, q.monitor, *o)
	})
	switch {
	case err != nil:
		return nil, err
	case m.GetId() != q.monitor || m.OverallState == nil || *m.OverallState == "":
		return nil, errShape
	case q.groups && (m.State == nil || m.State.UnparsedObject != nil):
		return nil, errors.New("the answer holds no states of groups")
	case q.groups && len(m.State.Groups) > maxGroups:
		return nil, errors.New("the monitor has more groups than are taken: watch it as a whole")
	}
	samples := s.states(&m, q, at)
	if slices.ContainsFunc(samples, func(sample signalbox.Sample) bool { return loud(sample.Labels[stateLabel]) }) {
		s.mute(ctx, &m, samples, at)
	}
	return samples, nil
}

func loud(state string) bool {
	return state == string(v1.MONITOROVERALLSTATES_ALERT) || state == string(v1.MONITOROVERALLSTATES_WARN)
}

func (s *Source) states(m *v1.Monitor, q question, at time.Time) []signalbox.Sample {
	base := tagLabels(s.redacted(m.Tags))
	base["monitor_id"], base["monitor"] = strconv.FormatInt(q.monitor, 10), s.client.Plain(m.GetName(), maxText)
	sample := func(state v1.MonitorOverallStates, group string) signalbox.Sample {
		labels := maps.Clone(base)
		group = s.client.Redact(group)
		maps.Copy(labels, tagLabels(strings.Split(group, ",")))
		labels["monitor_id"], labels["monitor"], labels[stateLabel] = base["monitor_id"], base["monitor"], s.client.Plain(string(state), 60)
		delete(labels, groupLabel)
		if group != "" {
			labels[groupLabel] = httpclient.Plain(group, maxText)
		}
		return signalbox.Sample{Labels: labels, At: at}
	}
	samples := []signalbox.Sample{sample(*m.OverallState, "")}
	if !q.groups {
		return samples
	}
	for _, name := range slices.Sorted(maps.Keys(m.State.Groups)) {
		if name == "" {
			continue
		}
		g := m.State.Groups[name]
		samples = append(samples, sample(g.GetStatus(), name))
	}
	return samples
}

// groupLabel names a group of a monitor, as Datadog writes it.
const groupLabel = "group"

// mute notes which samples are under a mute or downtime, of the old kind,
// which the monitor itself tells, or of the new one. What can't be read mutes
// nothing: a page too many is better than one too few.
func (s *Source) mute(ctx context.Context, m *v1.Monitor, samples []signalbox.Sample, at time.Time) {
	mark := func(scope []string, by string) {
		for _, sample := range samples {
			if covers(scope, sample.Labels[groupLabel]) {
				sample.Labels[mutedLabel] = by
			}
		}
	}
	if m.Options != nil {
		for scope, end := range m.Options.Silenced {
			if end == 0 || end > at.Unix() {
				mark(strings.Split(scope, ","), "muted in Datadog")
			}
		}
	}
	for _, d := range m.MatchingDowntimes {
		if end := d.End.Get(); d.GetStart() <= at.Unix() && (end == nil || *end > at.Unix()) {
			mark(d.Scope, "downtime "+strconv.FormatInt(d.Id, 10))
		}
	}
	resp, err := call(ctx, s, "monitor_downtimes", func(ctx context.Context) (v2.MonitorDowntimeMatchResponse, *http.Response, error) {
		return s.downtime.ListMonitorDowntimes(ctx, m.GetId())
	})
	if err != nil {
		return
	}
	for _, d := range resp.Data {
		a := d.Attributes
		if a == nil || a.Start == nil || a.Start.After(at) || a.End.Get() != nil && !a.End.Get().After(at) {
			continue
		}
		scope := strings.ReplaceAll(a.GetScope(), " AND ", ",")
		mark(strings.Split(scope, ","), "downtime "+s.client.Plain(d.GetId(), 60))
	}
}

// covers reports whether a scope surely holds for a group; the group "" is the
// whole monitor. Scopes are lists of tags of which all must be there; one that
// says more than that is taken to cover nothing.
func covers(scope []string, group string) bool {
	if len(scope) == 0 {
		return false
	}
	tags := strings.Split(group, ",")
	for _, want := range scope {
		want = strings.TrimSpace(want)
		if want != "*" && (want == "" || strings.ContainsAny(want, "*?()! ") || !slices.Contains(tags, want)) {
			return false
		}
	}
	return true
}
