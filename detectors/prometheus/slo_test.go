package prometheus

import (
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/burnrate"
	"github.com/signalbox/signalbox/internal/kind"
)

func sloDetector(t *testing.T) *detector {
	t.Helper()
	var objective kind.Quantity
	var subject kind.Subject
	if err := objective.UnmarshalText([]byte("99.9%")); err != nil {
		t.Fatal(err)
	}
	if err := subject.UnmarshalText([]byte("slo/{{service}}")); err != nil {
		t.Fatal(err)
	}
	settings := &DetectorSettings{SLO: &burnrate.Settings{
		Bad:       `sum by (service) (increase(requests_total{code=~"5.."}[$window]))`,
		Total:     `sum by (service) (increase(requests_total[$window]))`,
		Objective: objective,
	}}
	settings.Validate(func(path, rule string, value any) { t.Fatalf("%s %s, got %v", path, rule, value) })
	det, _, err := settings.Build(kind.Common{Name: "api-slo", Source: "metrics", Subject: subject, Interval: time.Minute}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return det.(*detector)
}

// answer gives bad and total counts by window, with samples of the given age
// behind them; a window without counts fails.
func (d *detector) sloAnswers(age time.Duration, counts map[string][2]float64) []signalbox.Answer {
	out := make([]signalbox.Answer, len(d.questions))
	for i, q := range d.questions {
		out[i] = signalbox.Answer{Question: q, At: moment}
		text := q.Query
		if !strings.Contains(text, "increase") { // timestamp(selector)
			for _, code := range []string{"200", "500"} {
				out[i].Samples = append(out[i].Samples, signalbox.Sample{Labels: map[string]string{"service": "api", "code": code}, Value: float64(moment.Add(-age).Unix())})
			}
			continue
		}
		window := text[strings.Index(text, "[")+1 : strings.Index(text, "]")]
		c, ok := counts[window]
		if !ok {
			out[i].Err = errShape
			continue
		}
		v := c[1]
		if strings.Contains(text, "5..") {
			v = c[0]
		}
		if v >= 0 {
			out[i].Samples = []signalbox.Sample{{Labels: map[string]string{"service": "api"}, Value: v, At: moment}}
		}
	}
	return out
}

func TestSLO(t *testing.T) {
	well, ill := [2]float64{0, 1000}, [2]float64{50, 1000}
	for name, c := range map[string]struct {
		age    time.Duration
		counts map[string][2]float64
		want   signalbox.Condition
		reason string
	}{
		"well":                              {10 * time.Second, map[string][2]float64{"1h": well, "5m": well, "6h": well, "30m": well}, signalbox.Clear, ""},
		"no bad one was counted":            {10 * time.Second, map[string][2]float64{"1h": {-1, 10}, "5m": {-1, 10}, "6h": {-1, 10}, "30m": {-1, 10}}, signalbox.Clear, ""},
		"fast burn":                         {10 * time.Second, map[string][2]float64{"1h": ill, "5m": ill, "6h": well, "30m": well}, signalbox.Breached, ""},
		"fast burn, and the 6h query fails": {10 * time.Second, map[string][2]float64{"1h": ill, "5m": ill, "30m": well}, signalbox.Breached, ""},
		"the 6h query fails, its 30m burns": {10 * time.Second, map[string][2]float64{"1h": well, "5m": well, "30m": ill}, signalbox.Unknown, "over 6h"},
		"the exporter is gone":              {10 * time.Minute, map[string][2]float64{"1h": ill, "5m": ill, "6h": ill, "30m": ill}, signalbox.Unknown, "old"},
		"everything fails":                  {0, nil, signalbox.Unknown, errShape.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			d := sloDetector(t)
			got := d.Judge(d.sloAnswers(c.age, c.counts), nil, moment)
			if len(got) != 1 || got[0].Condition != c.want || !strings.Contains(got[0].Reason, c.reason) {
				t.Fatalf("got %+v", got)
			}
			if c.want == signalbox.Breached && (got[0].Subject != "slo/api" || got[0].Window != time.Hour || got[0].Threshold != "burn above 14.4 over 1h and 5m" || float64(got[0].Value) < 49.9) {
				t.Errorf("got %+v", got[0])
			}
		})
	}
}

// A series that was known and is in no answer is Unknown, not well.
func TestSLOSeriesGone(t *testing.T) {
	d := sloDetector(t)
	was := d.Judge(d.sloAnswers(0, map[string][2]float64{"1h": {50, 100}, "5m": {50, 100}, "6h": {50, 100}, "30m": {50, 100}}), nil, moment)
	empty := [2]float64{-1, -1}
	got := d.Judge(d.sloAnswers(0, map[string][2]float64{"1h": empty, "5m": empty, "6h": empty, "30m": empty}), map[string]signalbox.Reading{was[0].Series: was[0]}, moment)
	if len(got) == 0 || got[0].Series != was[0].Series || got[0].Condition != signalbox.Unknown {
		t.Errorf("got %+v", got)
	}
}

// The samples behind all windows are asked about once.
func TestSLOAsksOnce(t *testing.T) {
	if n := len(sloDetector(t).Questions()); n != 4*2+2 {
		t.Errorf("%d questions", n)
	}
}
