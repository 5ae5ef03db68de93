package alerts

import (
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// The watchdog's alerts are taken out whatever they say; what proves that it
// fires is the newest sample of those that do.
func TestWatchdogTake(t *testing.T) {
	labels := map[string]string{"alertname": "Watchdog", "severity": "none"}
	reading := func(series string, l map[string]string, c signalbox.Condition, ago time.Duration) signalbox.Reading {
		return signalbox.Reading{Series: series, Labels: l, Condition: c, At: noon, SampleAt: noon.Add(-ago)}
	}
	other := reading("other", map[string]string{"alertname": "Lag", "severity": "none"}, signalbox.Breached, 0)
	for name, c := range map[string]struct {
		in   []signalbox.Reading
		ago  time.Duration // of what was heard; -1: nothing
		rest int
	}{
		"nothing":          {nil, -1, 0},
		"only others":      {[]signalbox.Reading{other}, -1, 1},
		"it fires":         {[]signalbox.Reading{reading("a", labels, signalbox.Breached, time.Minute), other}, time.Minute, 1},
		"several of it":    {[]signalbox.Reading{reading("a", labels, signalbox.Breached, time.Hour), reading("b", labels, signalbox.Breached, time.Minute), reading("c", labels, signalbox.Breached, 2*time.Minute)}, time.Minute, 0},
		"it has ended":     {[]signalbox.Reading{other, reading("a", labels, signalbox.Clear, 0)}, -1, 1},
		"it can't be told": {[]signalbox.Reading{reading("a", labels, signalbox.Unknown, 0)}, -1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := NewWatchdog(&WatchdogSettings{Match: map[string]string{"alertname": "Watchdog"}})
			in := signalbox.Batch{Source: "alerts", At: noon, Synced: true, Readings: slices.Clone(c.in)}
			rest, heard := w.Take(in)
			if c.ago < 0 && !heard.IsZero() || c.ago >= 0 && !heard.Equal(noon.Add(-c.ago)) {
				t.Errorf("heard at %s", heard)
			}
			if len(rest.Readings) != c.rest || !rest.Synced || rest.Source != "alerts" || len(in.Readings) != len(c.in) {
				t.Errorf("got %+v", rest)
			}
			for _, r := range rest.Readings {
				if r.Series != "other" {
					t.Errorf("left: %+v", r)
				}
			}
		})
	}
	var none *Watchdog
	if rest, heard := none.Take(signalbox.Batch{Readings: []signalbox.Reading{other}}); len(rest.Readings) != 1 || !heard.IsZero() || none.Within() != 0 || NewWatchdog(nil) != nil {
		t.Error("without a watchdog a batch stays as it is")
	}
}

func TestWatchdogIsTheSame(t *testing.T) {
	dog := func(name string, within time.Duration) *Watchdog {
		return NewWatchdog(&WatchdogSettings{Match: map[string]string{"alertname": name}, Within: kind.Duration(within)})
	}
	if !dog("A", time.Minute).Same(dog("A", time.Hour)) || dog("A", 0).Same(dog("B", 0)) || dog("A", 0).Same(nil) || (*Watchdog)(nil).Same(dog("A", 0)) || !(*Watchdog)(nil).Same(nil) {
		t.Error("the alert makes the watchdog, not its bound")
	}
	if got := dog("A", 0).Within(); got != 5*time.Minute {
		t.Errorf("by default within %s", got)
	}
}

func TestWatchdogSettings(t *testing.T) {
	is := map[string]string{"alertname": "Watchdog"}
	for name, c := range map[string]struct {
		set       *WatchdogSettings
		reconcile time.Duration
		want      string
	}{
		"none":              {nil, time.Minute, ""},
		"by default":        {&WatchdogSettings{Match: is}, time.Minute, ""},
		"by webhook alone":  {&WatchdogSettings{Match: is, Within: kind.Duration(2 * time.Second)}, 0, ""},
		"of any alert":      {&WatchdogSettings{}, time.Minute, "watchdog.match: must name the labels"},
		"of an empty label": {&WatchdogSettings{Match: map[string]string{"a": ""}}, time.Minute, "watchdog.match.a: must name a label and its value"},
		"hasty":             {&WatchdogSettings{Match: is, Within: kind.Duration(time.Second)}, 0, "watchdog.within: must be at least 2s"},
		"late":              {&WatchdogSettings{Match: is, Within: kind.Duration(25 * time.Hour)}, time.Minute, "watchdog.within: must be at least 2s and at most 24h"},
		"between two looks": {&WatchdogSettings{Match: is, Within: kind.Duration(time.Minute)}, time.Minute, "watchdog.within: must be at least twice reconcile (1m)"},
	} {
		var got []string
		c.set.validate(func(path, rule string, _ any) { got = append(got, path+": "+rule) }, c.reconcile)
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], c.want)) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
