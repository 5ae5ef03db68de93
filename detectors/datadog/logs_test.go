package datadog

import (
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	standin "github.com/signalbox/signalbox/test/standin/datadog"
)

func TestLogs(t *testing.T) {
	const errors, proof = "service:core-* status:error", "service:core-*"
	count := func(n ...float64) []standin.Bucket {
		var list []standin.Bucket
		for _, n := range n {
			list = append(list, standin.Bucket{N: n})
		}
		return list
	}
	of := func(bad, all []standin.Bucket) standin.Answer {
		return standin.Buckets(func(query string) []standin.Bucket {
			if query == proof {
				return all
			}
			return bad
		})
	}
	for _, c := range []struct {
		name   string
		answer standin.Answer
		want   signalbox.Condition
		reason string
	}{
		{"few", of(count(3), count(900)), signalbox.Clear, ""},
		{"many", of(count(300), count(900)), signalbox.Breached, ""},
		{"many, whatever presence says", of(count(300), nil), signalbox.Breached, ""},
		{"none", of(nil, count(900)), signalbox.Clear, ""},
		{"0", of(count(0), count(900)), signalbox.Clear, ""},
		{"none, and presence finds none either", of(nil, nil), signalbox.Unknown, "presence finds no logs"},
		{"0, and presence finds 0", of(count(0), count(0)), signalbox.Unknown, "presence finds no logs"},
		{"two counts where there is one", of(count(1, 2), count(900)), signalbox.Unknown, "not what Datadog's API gives"},
		{"not done", standin.Counts("timeout", 300), signalbox.Unknown, "did not finish"},
		{"partial", standin.Counts("done", 3, "partial results"), signalbox.Unknown, "partial results"},
		{"a string for a count", standin.Counts("done", "3"), signalbox.Unknown, "not what Datadog's API gives"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, source := site(t)
			s.Set("/api/v2/logs/analytics/aggregate", c.answer)
			det := build(t, source, "logs: {query: '"+errors+"', over: 5m, presence: '"+proof+"'}\nbreach: {above: 100}")
			if r := only(t, look(t, source, det)); r.Condition != c.want || !strings.Contains(r.Reason, c.reason) {
				t.Fatalf("got %v (%s), want %v", r.Condition, r.Reason, c.want)
			}
		})
	}
}

// A group without errors is well only while it writes logs for itself.
func TestLogGroups(t *testing.T) {
	s, source := site(t)
	group := func(service string, status any, n float64) standin.Bucket {
		return standin.Bucket{By: map[string]any{"service": service, "@http.status_code": status}, N: n}
	}
	var bad, all []standin.Bucket
	s.Set("/api/v2/logs/analytics/aggregate", standin.Buckets(func(query string) []standin.Bucket {
		if query == "service:core-*" {
			return all
		}
		return bad
	}))
	det := build(t, source, "logs: {query: 'service:core-* status:error', over: 5m, by: [service, '@http.status_code'], presence: 'service:core-*', presence_by: [service]}\nbreach: {above: 100}")
	service := func(name string) standin.Bucket {
		return standin.Bucket{By: map[string]any{"service": name}, N: 500}
	}
	now := time.Now()
	source.answers.now = func() time.Time { return now } // so that each look asks
	var was []signalbox.Reading
	for i, round := range []struct {
		bad, all []standin.Bucket
		want     string
	}{
		{[]standin.Bucket{group("core-a", 500, 300), group("core-b", "502", 7)}, []standin.Bucket{service("core-a"), service("core-b")}, "core-a/500 breached, core-b/502 clear"},
		{nil, []standin.Bucket{service("core-b")}, "core-a/500 unknown, core-b/502 clear"},
		{nil, nil, " unknown, core-a/500 unknown, core-b/502 unknown"},
		{[]standin.Bucket{group("core-a", 500, 1)}, nil, "core-a/500 clear, core-b/502 unknown"},
		{nil, []standin.Bucket{service("core-a"), service("core-b")}, "core-a/500 clear, core-b/502 clear"},
	} {
		bad, all = round.bad, round.all
		now = now.Add(time.Minute)
		rs := look(t, source, det, was...)
		var got []string
		for _, r := range rs {
			name := r.Labels["service"] + "/" + r.Labels["http_status_code"]
			got = append(got, strings.TrimPrefix(name, "/")+" "+r.Condition.String())
		}
		slices.Sort(got)
		if strings.Join(got, ", ") != round.want {
			t.Fatalf("round %d: got %q, want %q", i, got, round.want)
		}
		if i == 0 {
			was = rs
		}
	}
}
