package policy

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// Only what was seen wholly after the effect counts.
func TestVerifyCounts(t *testing.T) {
	type sample struct {
		condition signalbox.Condition
		after     time.Duration // of its time, after the effect
		window    time.Duration
	}
	cases := map[string]struct {
		sample
		later   time.Duration
		verdict signalbox.Verdict
		outcome signalbox.Outcome
	}{
		"clear after":                  {sample{signalbox.Clear, 1, 0}, 10 * time.Second, signalbox.Settle, signalbox.Recovered},
		"clear at the moment":          {sample{signalbox.Clear, 0, 0}, 10 * time.Second, signalbox.Verify, ""},
		"clear, window reaches back":   {sample{signalbox.Clear, 10 * time.Second, 10 * time.Second}, 20 * time.Second, signalbox.Verify, ""},
		"clear, window lies after":     {sample{signalbox.Clear, 10*time.Second + 1, 10 * time.Second}, 20 * time.Second, signalbox.Settle, signalbox.Recovered},
		"breached before its deadline": {sample{signalbox.Breached, time.Second, 0}, 10 * time.Second, signalbox.Verify, ""},
		"breached at its deadline":     {sample{signalbox.Breached, 5 * time.Minute, 0}, 5 * time.Minute, signalbox.Settle, signalbox.NotRecovered},
		"breached, but from before":    {sample{signalbox.Breached, 5 * time.Minute, 5 * time.Minute}, 5 * time.Minute, signalbox.Settle, signalbox.Unverified},
		"breached, but stale":          {sample{signalbox.Breached, time.Minute, 0}, 5 * time.Minute, signalbox.Settle, signalbox.Unverified},
		"clear, but stale":             {sample{signalbox.Clear, time.Minute, 0}, 5 * time.Minute, signalbox.Settle, signalbox.Unverified},
		"unknown at its deadline":      {sample{signalbox.Unknown, 5 * time.Minute, 0}, 5 * time.Minute, signalbox.Settle, signalbox.Unverified},
		"unknown before":               {sample{signalbox.Unknown, time.Minute, 0}, time.Minute, signalbox.Verify, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			a := b.acted("")
			b.w.Now = noon.Add(c.later)
			b.change(func(r *signalbox.Reading) {
				r.Condition, r.SampleAt, r.Window, r.At = c.condition, a.EndedAt.Add(c.after), c.window, b.w.Now
			})
			d := b.want(c.verdict, "verify")
			if d.Outcome != c.outcome || c.outcome != "" && d.Takes != a.ID {
				t.Errorf("got %q for %q, want %q", d.Outcome, d.Takes, c.outcome)
			}
		})
	}
}

func TestVerifyOfSeveralSeries(t *testing.T) {
	p := failover()
	p.Verify = signalbox.Witness{Detector: "errors", Subject: "reads/eu"}
	b := newBox(t, p)
	b.acted("")
	b.later(5 * time.Minute)
	r := b.see("errors", "reads/eu", signalbox.Clear, 0)
	second := r
	second.Series, second.Condition = "second", signalbox.Unknown
	b.w.Facts.Put(&second)
	if d := b.want(signalbox.Settle, "verify"); d.Outcome != signalbox.Unverified {
		t.Errorf("got %s, want unverified while one is unknown", d.Outcome)
	}
	third := r
	third.Series, third.Condition = "third", signalbox.Breached
	b.w.Facts.Put(&third)
	if d := b.want(signalbox.Settle, "verify"); d.Outcome != signalbox.NotRecovered {
		t.Errorf("got %s, want not recovered while one is breached", d.Outcome)
	}
}

// An alert has no samples: its own end tells.
func TestVerifyOfAnAlert(t *testing.T) {
	for name, c := range map[string]struct {
		ended   time.Duration
		verdict signalbox.Verdict
	}{
		"ended after the effect":  {time.Second, signalbox.Settle},
		"ended before the effect": {-time.Second, signalbox.Verify},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			a := b.acted("")
			b.later(time.Minute)
			b.inc().Reading = signalbox.Reading{
				Detector: "alerts", Series: "f00", Episode: "e1", Subject: "x", Condition: signalbox.Clear, At: b.w.Now, EndedAt: a.EndedAt.Add(c.ended),
			}
			b.want(c.verdict, "verify")
		})
	}
}
