package prometheus

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/threshold"
	"github.com/signalbox/signalbox/internal/kind"
)

const lagQuery = `max by (cluster, env) (lag)`

func quantity(text string) (q kind.Quantity) {
	if err := q.UnmarshalText([]byte(text)); err != nil {
		panic(err)
	}
	return q
}

func lagSettings() *DetectorSettings {
	return &DetectorSettings{
		Query: lagQuery, ValueUnit: signalbox.Seconds,
		Breach: threshold.Side{Above: quantity("100ms")}, Clear: threshold.Side{Below: quantity("80ms")},
	}
}

func build(t testing.TB, d *DetectorSettings, subject string) signalbox.Detector {
	t.Helper()
	c := kind.Common{Name: "replication-lag", Source: "metrics", Labels: []string{"cluster"}, Owner: "backend", Interval: 15 * time.Second}
	if err := c.Subject.UnmarshalText([]byte(subject)); err != nil {
		t.Fatal(err)
	}
	det, _, err := d.Build(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return det
}

func sample(value float64, labels ...string) signalbox.Sample {
	s := signalbox.Sample{Labels: map[string]string{}, Value: value, At: moment}
	for i := 0; i < len(labels); i += 2 {
		s.Labels[labels[i]] = labels[i+1]
	}
	return s
}

func aged(age time.Duration, labels ...string) signalbox.Sample {
	return sample(float64(moment.Add(-age).UnixMilli())/1e3, labels...)
}

// said maps questions to answers; a question that is not there has none.
type said map[string][]signalbox.Sample

func (s said) answers(d signalbox.Detector) []signalbox.Answer {
	var out []signalbox.Answer
	for _, q := range d.Questions() {
		out = append(out, signalbox.Answer{Question: q, At: moment, Samples: s[q.Query]})
	}
	return out
}

// short tells a reading in a line.
func short(r signalbox.Reading) string {
	text := fmt.Sprintf("%s %s", r.Subject, r.Condition)
	if r.HasValue {
		text += fmt.Sprintf(" %g", r.Value)
	}
	if !r.SampleAt.IsZero() {
		text += fmt.Sprintf(" -%s", moment.Sub(r.SampleAt))
	}
	if r.Reason != "" {
		text += " (" + r.Reason + ")"
	}
	return text
}

func TestJudge(t *testing.T) {
	eu, us := []string{"cluster", "eu", "env", "prod"}, []string{"cluster", "us", "env", "prod"}
	with := func(labels []string, more ...string) []string { return slices.Concat(labels, more) }
	const fresh = "timestamp(lag)"
	for _, c := range []struct {
		name string
		was  signalbox.Condition // of db/eu; Unknown: it was not known
		said said
		want []string
	}{
		{"clear", 0, said{lagQuery: {sample(0.04, eu...)}, fresh: {aged(7*time.Second, with(eu, "pod", "a")...)}}, []string{"db/eu clear 0.04 -7s"}},
		{"breached", 0, said{lagQuery: {sample(1.25, eu...)}, fresh: {aged(7*time.Second, eu...)}}, []string{"db/eu breached 1.25 -7s"}},
		{"between, and was breached", signalbox.Breached, said{lagQuery: {sample(0.09, eu...)}, fresh: {aged(0, eu...)}}, []string{"db/eu breached 0.09 -0s"}},
		{"between, and was clear", signalbox.Clear, said{lagQuery: {sample(0.09, eu...)}, fresh: {aged(0, eu...)}}, []string{"db/eu clear 0.09 -0s"}},
		{"between, and never known", 0, said{lagQuery: {sample(0.09, eu...)}, fresh: {aged(0, eu...)}}, []string{"db/eu clear 0.09 -0s"}},
		{
			"two series, each by its own samples", 0,
			said{lagQuery: {sample(1, eu...), sample(1, us...)}, fresh: {aged(3*time.Second, eu...), aged(4*time.Minute, us...)}},
			[]string{"db/eu breached 1 -3s", "db/us unknown -4m0s (a sample behind it is 4m0s old, and at most 1m15s is fresh)"},
		},
		{
			"the oldest of those behind it counts", 0,
			said{lagQuery: {sample(1, eu...)}, fresh: {aged(3*time.Second, with(eu, "pod", "a")...), aged(2*time.Minute, with(eu, "pod", "b")...)}},
			[]string{"db/eu unknown -2m0s (a sample behind it is 2m0s old, and at most 1m15s is fresh)"},
		},
		{
			"no sample behind it", 0,
			said{lagQuery: {sample(1, eu...)}, fresh: {aged(0, us...)}},
			[]string{"db/eu unknown (no present sample stands behind the value)"},
		},
		{
			"from the future", 0,
			said{lagQuery: {sample(1, eu...)}, fresh: {aged(-time.Minute, eu...)}},
			[]string{"db/eu unknown --1m0s (a sample behind it is 1m0s in the future)"},
		},
		{"NaN", 0, said{lagQuery: {sample(math.NaN(), eu...)}, fresh: {aged(0, eu...)}}, []string{"db/eu unknown -0s (the value is not a number)"}},
		{"infinite", 0, said{lagQuery: {sample(math.Inf(1), eu...)}, fresh: {aged(0, eu...)}}, []string{"db/eu unknown -0s (the value is infinite)"}},
		{
			"its subject's label is missing", 0,
			said{lagQuery: {sample(1, "env", "prod")}, fresh: {aged(0, "env", "prod")}},
			[]string{"db/ unknown -0s (the label cluster, which its subject is made of, is missing or empty)"},
		},
		{"empty", 0, said{}, []string{"replication-lag unknown (the query's answer is empty, and no presence query proves that what is watched is there)"}},
		{
			"gone", signalbox.Breached,
			said{lagQuery: {sample(0.01, us...)}, fresh: {aged(0, us...)}},
			[]string{"db/us clear 0.01 -0s", "db/eu unknown (the series is gone, and no presence query proves that what is watched is there)"},
		},
		{
			"all gone", signalbox.Clear,
			said{},
			[]string{
				"db/eu unknown (the series is gone, and no presence query proves that what is watched is there)",
				"replication-lag unknown (the query's answer is empty, and no presence query proves that what is watched is there)",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := build(t, lagSettings(), "db/{{cluster}}")
			was := map[string]signalbox.Reading{}
			if c.was != signalbox.Unknown {
				id := kind.SeriesID(sample(0, eu...).Labels)
				was[id] = signalbox.Reading{Series: id, Subject: "db/eu", Labels: map[string]string{"cluster": "eu"}, Condition: c.was}
			}
			compare(t, d.Judge(c.said.answers(d), was, moment), c.want)
		})
	}
}

func compare(t *testing.T, readings []signalbox.Reading, want []string) {
	t.Helper()
	var got []string
	for _, r := range readings {
		got = append(got, short(r))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestJudgePresence(t *testing.T) {
	const presence, fresh, up = `count by (cluster) (up == 1)`, "timestamp(lag)", "timestamp(up)"
	was := map[string]signalbox.Reading{}
	for _, cluster := range []string{"eu", "us"} {
		was[cluster] = signalbox.Reading{Series: cluster, Subject: "db/" + cluster, Labels: map[string]string{"cluster": cluster}, Condition: signalbox.Breached}
	}
	for _, c := range []struct {
		name string
		was  map[string]signalbox.Reading
		said said
		want []string
	}{
		{"proved, and nothing was known", nil, said{presence: {sample(3, "cluster", "eu")}, up: {aged(9*time.Second, "cluster", "eu", "pod", "a")}}, nil},
		{
			"proved for one of two", was,
			said{presence: {sample(3, "cluster", "eu")}, up: {aged(9*time.Second, "cluster", "eu", "pod", "a")}},
			[]string{"db/eu clear -9s", "db/us unknown (the series is gone, and presence is proved for others only)"},
		},
		{
			"stale", nil,
			said{presence: {sample(3, "cluster", "eu")}, up: {aged(3*time.Minute, "cluster", "eu")}},
			[]string{"replication-lag unknown (the query's answer is empty, and presence is not proved: a sample behind it is 3m0s old, and at most 1m15s is fresh)"},
		},
		{
			"nothing behind it", nil,
			said{presence: {sample(3, "cluster", "eu")}},
			[]string{"replication-lag unknown (the query's answer is empty, and presence is not proved: no present sample stands behind the value)"},
		},
		{
			"zero", nil,
			said{presence: {sample(0, "cluster", "eu")}, up: {aged(0, "cluster", "eu")}},
			[]string{"replication-lag unknown (the query's answer is empty, and presence is not proved)"},
		},
		{"empty", nil, said{}, []string{"replication-lag unknown (the query's answer is empty, and presence is not proved)"}},
		{
			"not needed where there is a value", nil,
			said{lagQuery: {sample(1, "cluster", "eu")}, fresh: {aged(0, "cluster", "eu")}},
			[]string{"db/eu breached 1 -0s"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := lagSettings()
			s.Presence = presence
			d := build(t, s, "db/{{cluster}}")
			compare(t, d.Judge(c.said.answers(d), c.was, moment), c.want)
		})
	}
}

// A fault in any answer that is needed makes all that is known Unknown; one in
// an answer for presence alone takes away the proof, and no more.
func TestJudgeFaults(t *testing.T) {
	s := lagSettings()
	s.Presence = `count(up)`
	d := build(t, s, "db/{{cluster}}")
	was := map[string]signalbox.Reading{"a": {Series: "a", Subject: "db/a", Condition: signalbox.Breached}}
	whole := said{
		lagQuery: {sample(1, "cluster", "eu")}, "timestamp(lag)": {aged(0, "cluster", "eu")},
		`count(up)`: {sample(1)}, "timestamp(up)": {aged(0)},
	}
	for i, q := range d.Questions() {
		for fault, spoil := range map[string]func(*signalbox.Answer){
			"refused":                         func(a *signalbox.Answer) { *a = signalbox.Answer{Question: q, Err: errors.New("refused")} },
			"the answer may be partial: half": func(a *signalbox.Answer) { a.Warnings = []string{"half"} },
		} {
			answers := whole.answers(d)
			spoil(&answers[i])
			var want []string
			if i < 2 {
				want = []string{"db/a unknown (" + fault + ")", "replication-lag unknown (" + fault + ")"}
			} else {
				want = []string{"db/eu breached 1 -0s", "db/a unknown (the series is gone, and its presence is unknown: " + fault + ")"}
			}
			t.Run(q.Query+" "+fault, func(t *testing.T) { compare(t, d.Judge(answers, was, moment), want) })
		}
	}
	if got := d.Judge(nil, nil, moment); len(got) != 1 || got[0].Condition != signalbox.Unknown {
		t.Errorf("without answers: %+v", got)
	}
}

func TestReadingIsWhole(t *testing.T) {
	s := lagSettings()
	s.Query = `max by (cluster, env) (max_over_time(lag[2m]))`
	d := build(t, s, "db/{{cluster}}")
	labels := []string{"cluster", "eu", "env", "prod"}
	rs := d.Judge(said{s.Query: {sample(1.25, labels...)}, "timestamp(lag)": {aged(5*time.Second, labels...)}}.answers(d), nil, moment)
	if len(rs) != 1 {
		t.Fatalf("%+v", rs)
	}
	r := rs[0]
	if r.Detector != "replication-lag" || r.Owner != "backend" || r.Unit != signalbox.Seconds || r.Threshold != "above 100ms" || !r.Confirmed ||
		r.Window != 2*time.Minute || !r.SampleAt.Equal(moment.Add(-5*time.Second)) || !r.At.Equal(moment) || r.Origin != "prometheus:metrics" ||
		r.Summary != "db/eu: 1.25s, above 100ms" || !maps.Equal(r.Labels, map[string]string{"cluster": "eu"}) || len(r.Series) != 32 {
		t.Errorf("%+v", r)
	}
}

// Two series that share their subject and the labels that are kept stay two.
func TestSeriesStayApart(t *testing.T) {
	d := build(t, lagSettings(), "db/{{cluster}}")
	rs := d.Judge(said{
		lagQuery:         {sample(1, "cluster", "eu", "env", "prod"), sample(0, "cluster", "eu", "env", "test")},
		"timestamp(lag)": {aged(0, "cluster", "eu", "env", "prod"), aged(0, "cluster", "eu", "env", "test")},
	}.answers(d), nil, moment)
	if len(rs) != 2 || rs[0].Series == rs[1].Series || rs[0].Subject != rs[1].Subject {
		t.Errorf("%+v", rs)
	}
	forged := [2]map[string]string{{"a": "1", "b": "2"}, {"a": "11:b1:2"}}
	if kind.SeriesID(forged[0]) == kind.SeriesID(forged[1]) {
		t.Error("a label's value can forge another series")
	}
}

func TestMaxAge(t *testing.T) {
	for _, c := range []struct {
		given, interval, age time.Duration
		want                 signalbox.Condition
	}{
		{0, 15 * time.Second, 75 * time.Second, signalbox.Breached},
		{0, 15 * time.Second, 76 * time.Second, signalbox.Unknown},
		{0, time.Minute, 135 * time.Second, signalbox.Breached},
		{0, time.Minute, 136 * time.Second, signalbox.Unknown},
		{20 * time.Second, time.Minute, 20 * time.Second, signalbox.Breached},
		{20 * time.Second, time.Minute, 21 * time.Second, signalbox.Unknown},
	} {
		s := lagSettings()
		s.MaxAge = kind.Duration(c.given)
		det, _, err := s.Build(kind.Common{Interval: c.interval}, nil)
		if err != nil {
			t.Fatal(err)
		}
		rs := det.Judge(said{lagQuery: {sample(1)}, "timestamp(lag)": {aged(c.age)}}.answers(det), nil, moment)
		if len(rs) != 1 || rs[0].Condition != c.want {
			t.Errorf("%+v: %+v", c, rs)
		}
	}
}
