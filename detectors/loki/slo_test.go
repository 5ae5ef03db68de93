package loki

import (
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/burnrate"
	"github.com/signalbox/signalbox/internal/kind"
)

func sloSettings(t *testing.T) *DetectorSettings {
	t.Helper()
	return &DetectorSettings{
		SLO: &burnrate.Settings{
			Bad:       `sum by (env) (count_over_time({app="psp"} |= "failed" [$window]))`,
			Total:     `sum by (env) (count_over_time({app="psp"}[$window]))`,
			Objective: quantity(t, "99%"),
		},
		Presence: `sum by (env) (count_over_time({app="psp"}[5m]))`,
	}
}

func TestSLO(t *testing.T) {
	well, ill := [2]float64{1, 1000}, [2]float64{300, 1000}
	all := func(c [2]float64) map[string][2]float64 {
		return map[string][2]float64{"1h": c, "5m": c, "6h": c, "30m": c}
	}
	with := func(m map[string][2]float64, window string, c *[2]float64) map[string][2]float64 {
		delete(m, window)
		if c != nil {
			m[window] = *c
		}
		return m
	}
	for name, c := range map[string]struct {
		counts  map[string][2]float64
		written bool
		want    signalbox.Condition
		reason  string
	}{
		"well":                           {all(well), true, signalbox.Clear, ""},
		"no bad line at all":             {all([2]float64{-1, 1000}), true, signalbox.Clear, ""},
		"well, and nothing is written":   {all(well), false, signalbox.Unknown, "may lack lines"},
		"ill":                            {all(ill), true, signalbox.Breached, ""},
		"ill, and the 6h query fails":    {with(all(ill), "6h", nil), true, signalbox.Breached, ""},
		"short ones ill, long ones fail": {with(with(all(ill), "6h", nil), "1h", nil), true, signalbox.Unknown, "oops"},
		"everything fails":               {nil, true, signalbox.Unknown, "oops"},
	} {
		t.Run(name, func(t *testing.T) {
			settings := sloSettings(t)
			settings.Validate(func(path, rule string, value any) { t.Fatalf("%s %s, got %v", path, rule, value) })
			common := kind.Common{Name: "psp-slo", Source: "logs", Interval: time.Minute}
			if err := common.Subject.UnmarshalText([]byte("psp/{{env}}")); err != nil {
				t.Fatal(err)
			}
			det, _, err := settings.Build(common, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := det.Judge(counted(det.Questions(), c.counts, c.written), nil, moment)
			if len(got) != 1 || got[0].Condition != c.want || !strings.Contains(got[0].Reason, c.reason) {
				t.Fatalf("got %+v", got)
			}
			if c.want == signalbox.Breached && (got[0].Subject != "psp/eu" || got[0].Window != time.Hour || got[0].SampleAt != moment) {
				t.Errorf("got %+v", got[0])
			}
		})
	}
}

// counted answers with bad and total counts by window; one without counts fails.
func counted(qs []signalbox.Question, counts map[string][2]float64, written bool) []signalbox.Answer {
	out := make([]signalbox.Answer, len(qs))
	for i, q := range qs {
		c, ok := counts[q.Query[strings.Index(q.Query, "[")+1:strings.Index(q.Query, "]")]]
		switch v := c[1]; {
		case i == len(qs)-1 && written:
			out[i] = gave(sample(9, "env", "eu"))
		case i == len(qs)-1:
			out[i] = gave()
		case !ok:
			out[i] = broken
		case strings.Contains(q.Query, "failed") && c[0] < 0:
			out[i] = gave()
		case strings.Contains(q.Query, "failed"):
			out[i] = gave(sample(c[0], "env", "eu"))
		default:
			out[i] = gave(sample(v, "env", "eu"))
		}
		out[i].Question = q
	}
	return out
}

func TestSLOIsHeldToRules(t *testing.T) {
	for want, change := range map[string]func(*DetectorSettings){
		"presence must be given with slo":        func(d *DetectorSettings) { d.Presence = "" },
		"slo must not be given beside query":     func(d *DetectorSettings) { d.Query = `sum(rate({a="b"}[5m]))` },
		"breach must say only for":               func(d *DetectorSettings) { d.Breach.Above = quantity(t, "5") },
		"unit must be absent with slo":           func(d *DetectorSettings) { d.ValueUnit = signalbox.Seconds },
		"slo.total must not end in a comparison": func(d *DetectorSettings) { d.SLO.Total += " > 3" },
		"slo.bad must say $window":               func(d *DetectorSettings) { d.SLO.Bad = `sum(rate({a="b"}[5m]))` },
	} {
		settings := sloSettings(t)
		change(settings)
		var said []string
		settings.Validate(func(path, rule string, _ any) { said = append(said, path+" "+rule) })
		if len(said) != 1 || !strings.HasPrefix(said[0], want) {
			t.Errorf("got %q, want %q", said, want)
		}
	}
}
