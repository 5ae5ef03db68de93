package prometheus

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"

	signalbox "github.com/signalbox/signalbox"
)

// engine answers questions by Prometheus' own engine over its own storage.
type engine struct {
	engine  *promql.Engine
	storage storage.Queryable
}

// load makes a storage of series in promtool's notation, 15s apart, from the
// epoch on.
func load(t testing.TB, series string) *engine {
	s := promqltest.LoadedStorage(t, "load 15s\n"+series)
	t.Cleanup(func() { s.Close() })
	return &engine{promqltest.NewTestEngine(t, false, 0, 1_000_000), s}
}

func (e *engine) Ask(ctx context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	var out []signalbox.Answer
	for _, q := range qs {
		a := signalbox.Answer{Question: q, At: at}
		query, err := e.engine.NewInstantQuery(ctx, e.storage, nil, q.Query, at)
		if err == nil {
			res := query.Exec(ctx)
			vector, _ := res.Vector()
			for _, s := range vector {
				a.Samples = append(a.Samples, signalbox.Sample{Labels: s.Metric.Map(), Value: s.F, At: at})
			}
			err = res.Err
			query.Close()
		}
		a.Err = err
		out = append(out, a)
	}
	return out
}

// Each case is evaluated by the real engine ten minutes after the epoch, when
// 41 samples were taken.
func TestRealEvaluation(t *testing.T) {
	const now = 10 * time.Minute
	for _, c := range []struct {
		name, series, query, presence string
		want                          []string
	}{
		{"fresh", `lag{cluster="eu",pod="a"} 0x39 1.5`, lagQuery, "", []string{"db/eu breached 1.5 -0s"}},
		{
			"the exporter died: a stale marker in one of two", "lag{cluster=\"eu\",pod=\"a\"} 0x40\nlag{cluster=\"us\",pod=\"b\"} 0x36 stale",
			lagQuery, "",
			[]string{"db/eu clear 0 -0s"},
		},
		{"all died", `lag{cluster="eu"} 0x36 stale`, lagQuery, "", []string{"replication-lag unknown (the query's answer is empty, and no presence query proves that what is watched is there)"}},
		{
			"it stopped without a marker, and the look-back still shows it", `lag{cluster="eu"} 0x32`, lagQuery, "",
			[]string{"db/eu unknown -2m0s (a sample behind it is 2m0s old, and at most 1m15s is fresh)"},
		},
		{
			"one of two pods stopped: an average would lie", "lag{cluster=\"eu\",pod=\"a\"} 0x40\nlag{cluster=\"eu\",pod=\"b\"} 0x30",
			`avg by (cluster) (lag)`, "",
			[]string{"db/eu unknown -2m30s (a sample behind it is 2m30s old, and at most 1m15s is fresh)"},
		},
		{
			"a rate goes on over its window after the exporter died", `errors_total{cluster="eu"} 0+1x36 stale`,
			`sum by (cluster) (rate(errors_total[5m]))`, "",
			[]string{"db/eu unknown (no present sample stands behind the value)"},
		},
		{
			"a ratio whose one side died", "errors_total{cluster=\"eu\"} 0+1x36 stale\nrequests_total{cluster=\"eu\"} 0+1x40",
			`sum by (cluster) (rate(errors_total[5m])) / sum by (cluster) (rate(requests_total[5m]))`, "",
			[]string{"db/eu unknown (no present sample stands behind the value)"},
		},
		{"`or vector(0)` is no health", `lag{cluster="eu"} 0x36 stale`, `label_replace(sum(lag) or vector(0), "cluster", "eu", "", "")`, "", []string{"db/eu unknown (no present sample stands behind the value)"}},
		{"an offset is meant to be old", `lag{cluster="eu"} 0x36 stale`, `max by (cluster) (lag offset 2m)`, "", []string{"db/eu clear 0 -0s"}},
		{
			"joined labels", "lag{pod=\"a\"} 1x40\nowner{pod=\"a\",cluster=\"eu\",team=\"x\"} 1x40",
			`lag * on (pod) group_left (cluster) owner`, "",
			[]string{"db/eu breached 1 -0s"},
		},
		{
			"joined with what has other labels of the same names", "lag{cluster=\"eu\",instance=\"a\"} 1x40\nfactor{instance=\"z\"} 2x40",
			`lag * on () group_left () factor`, "",
			[]string{"db/eu breached 2 -0s"},
		},
		{
			"a label made of another", `lag{instance="eu:9090"} 1x40`,
			`label_replace(lag, "cluster", "$1", "instance", "(.*):.*")`, "",
			[]string{"db/eu breached 1 -0s"},
		},
		{"presence", `up{job="pg"} 1x40`, lagQuery, `count(up{job="pg"} == 1)`, nil},
		{
			"presence that died too", `up{job="pg"} 1x36 stale`, lagQuery, `count(up{job="pg"} == 1)`,
			[]string{"replication-lag unknown (the query's answer is empty, and presence is not proved)"},
		},
		{
			"what is watched is down", `up{job="pg"} 1x36 0x3`, lagQuery, `count(up{job="pg"} == 1)`,
			[]string{"replication-lag unknown (the query's answer is empty, and presence is not proved)"},
		},
		{
			"the query itself fails", "lag{cluster=\"eu\",pod=\"a\"} 1x40\nlag{cluster=\"eu\",pod=\"b\"} 1x40", `lag + on (cluster) lag`, "",
			[]string{"replication-lag unknown (found duplicate series for the match group"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := load(t, c.series)
			s := lagSettings()
			s.Query, s.Presence = c.query, c.presence
			if got := problems(s); len(got) > 0 {
				t.Fatal(got)
			}
			d := build(t, s, "db/{{cluster}}")
			at := time.Unix(0, 0).UTC().Add(now)
			var got []string
			for _, r := range d.Judge(e.Ask(t.Context(), d.Questions(), at), nil, at) {
				r.SampleAt = shift(r.SampleAt, at)
				got = append(got, short(r))
			}
			if len(got) != len(c.want) {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], c.want[i]) {
					t.Errorf("got  %q\nwant %q", got[i], c.want[i])
				}
			}
		})
	}
}

// shift moves a sample's time so that its age is told from moment.
func shift(sample, at time.Time) time.Time {
	if sample.IsZero() {
		return sample
	}
	return moment.Add(sample.Sub(at))
}
