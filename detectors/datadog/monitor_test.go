package datadog

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	standin "github.com/signalbox/signalbox/test/standin/datadog"
)

// A downtime of the newer kind keeps pages back while it lasts.
func TestDowntimes(t *testing.T) {
	now := time.Now().UTC()
	stamp := func(d time.Duration) any { return now.Add(d).Format(time.RFC3339) }
	for _, c := range []struct {
		name       string
		scope      string
		start, end any
		want       string // of host:a and host:b
	}{
		{"all", "*", stamp(-time.Hour), stamp(time.Hour), "ab"},
		{"without an end", "*", stamp(-time.Hour), nil, "ab"},
		{"one group", "host:a", stamp(-time.Hour), stamp(time.Hour), "a"},
		{"two tags, of which a group has one", "host:a AND env:prod", stamp(-time.Hour), stamp(time.Hour), ""},
		{"more than a list of tags", "host:(a OR b)", stamp(-time.Hour), stamp(time.Hour), ""},
		{"not yet", "*", stamp(time.Hour), stamp(2 * time.Hour), ""},
		{"over", "*", stamp(-2 * time.Hour), stamp(-time.Hour), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, source := site(t)
			s.Set("/api/v1/monitor/7", standin.Monitor(7, "Alert", map[string]string{"host:a": "Alert", "host:b": "Alert"}, nil))
			s.Set("/api/v2/monitor/7/downtime_matches", standin.Answer{Body: map[string]any{"data": []any{map[string]any{
				"id": "d1", "type": "downtime_match", "attributes": map[string]any{"scope": c.scope, "start": c.start, "end": c.end, "groups": []string{}},
			}}}})
			muted := ""
			for _, r := range look(t, source, build(t, source, "monitor: {id: 7, groups: true}")) {
				if r.Condition != signalbox.Breached {
					t.Errorf("a downtime is no health: %+v", r)
				}
				if r.Suppressed == "downtime d1" {
					muted += r.Labels["host"]
				}
			}
			if muted != c.want {
				t.Errorf("muted are %q, want %q", muted, c.want)
			}
		})
	}
}

func TestMonitor(t *testing.T) {
	for _, c := range []struct {
		name, settings, state string
		want                  signalbox.Condition
	}{
		{"alert", "monitor: {id: 7}", "Alert", signalbox.Breached},
		{"warn", "monitor: {id: 7}", "Warn", signalbox.Clear},
		{"warn asked for", "monitor: {id: 7, state: [alert, warn]}", "Warn", signalbox.Breached},
		{"ok", "monitor: {id: 7}", "OK", signalbox.Clear},
		{"no data", "monitor: {id: 7}", "No Data", signalbox.Unknown},
		{"skipped", "monitor: {id: 7}", "Skipped", signalbox.Unknown},
		{"unknown", "monitor: {id: 7}", "Unknown", signalbox.Unknown},
		{"ignored", "monitor: {id: 7}", "Ignored", signalbox.Unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, source := site(t)
			s.Set("/api/v1/monitor/7", standin.Monitor(7, c.state, nil, nil))
			s.Set("/api/v2/monitor/7/downtime_matches", standin.Answer{Body: map[string]any{"data": []any{}}})
			if r := only(t, look(t, source, build(t, source, c.settings))); r.Condition != c.want || r.Suppressed != "" {
				t.Fatalf("got %+v, want %v", r, c.want)
			}
		})
	}
}

func TestMonitorGroups(t *testing.T) {
	s, source := site(t)
	muted := map[string]any{"options": map[string]any{"silenced": map[string]any{"host:a": nil}}}
	s.Set("/api/v1/monitor/7", standin.Monitor(7, "Alert", map[string]string{"host:a": "Alert", "host:b": "Alert", "host:c": "No Data"}, muted))
	s.Set("/api/v2/monitor/7/downtime_matches", standin.Answer{Body: map[string]any{"data": []any{}}})
	det := build(t, source, "monitor: {id: 7, groups: true}")
	rs := look(t, source, det)
	got := map[string]string{}
	for _, r := range rs {
		got[r.Labels["host"]] = r.Condition.String() + " " + r.Suppressed
	}
	if len(got) != 3 || got["a"] != "breached muted in Datadog" || got["b"] != "breached " || got["c"] != "unknown " {
		t.Fatalf("got %v", got)
	}
	at := time.Now()
	empty := []signalbox.Answer{{Samples: []signalbox.Sample{{Labels: map[string]string{"monitor_id": "7", stateLabel: "OK"}, At: at}}}}
	was := map[string]signalbox.Reading{rs[0].Series: rs[0]}
	if r := only(t, det.Judge(empty, was, at)); r.Condition != signalbox.Clear || r.EndedAt.IsZero() {
		t.Fatalf("a group gone while the whole is OK: %+v", r)
	}
	empty[0].Samples[0].Labels[stateLabel] = "No Data"
	if r := only(t, det.Judge(empty, was, at)); r.Condition != signalbox.Unknown {
		t.Fatalf("a group gone while the whole is not OK: %+v", r)
	}
}
