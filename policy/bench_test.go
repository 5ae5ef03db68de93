package policy

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// crowd adds open incidents, each with its reading.
func (b *box) crowd(n int) {
	for i := range n {
		subject := fmt.Sprintf("db/%06d", i)
		r := b.see("lag", subject, signalbox.Breached, 2)
		id := signalbox.IncidentID(fmt.Sprintf("%016x", i+1000))
		b.w.State.Incidents[id] = &signalbox.Incident{ID: id, Reading: r, Owner: "backend", Page: "page"}
	}
}

// BenchmarkDecide decides one incident among many that are open.
func BenchmarkDecide(b *testing.B) {
	due := []signalbox.IncidentID{incident}
	stories := map[string]struct {
		begin   func(b *box)
		verdict signalbox.Verdict
	}{
		"act":    {func(*box) {}, signalbox.Act},
		"hold":   {func(b *box) { b.touch().Acted = []time.Time{noon}; b.inc().Page = "p" }, signalbox.Hold},
		"verify": {func(b *box) { b.acted("") }, signalbox.Verify},
	}
	for _, name := range []string{"act", "hold", "verify"} {
		for _, n := range []int{10, 1_000, 100_000} {
			b.Run(fmt.Sprintf("%s/open=%d", name, n), func(b *testing.B) {
				w := newBox(b)
				w.crowd(n)
				stories[name].begin(w)
				w.want(stories[name].verdict, "")
				runtime.GC() // of the crowd's making, which is not what is measured
				b.ReportAllocs()
				for b.Loop() {
					w.h.Decide(w.w, due)
				}
			})
		}
	}
}

// BenchmarkCondition evaluates a condition as runbooks have it.
func BenchmarkCondition(b *testing.B) {
	for name, expr := range map[string]string{
		"when":  `value > duration("1s") && labels.env == "prod"`,
		"if":    `destination.healthy && destination.value < duration("100ms")`,
		"steps": `steps.first.outcome == "not_recovered" && steps.first.position != "b" && value > duration("1s")`,
	} {
		b.Run(name, func(b *testing.B) {
			c, err := newCompiler().compileStep(expr, signalbox.Seconds, []string{"first", "second"}, signalbox.Seconds)
			if err != nil {
				b.Fatal(err)
			}
			r := &signalbox.Reading{Unit: signalbox.Seconds, Value: 2, HasValue: true, Labels: map[string]string{"env": "prod"}}
			low := *r
			low.Value = 0.01
			in := &input{reading: r, looked: &destination{position: "b", healthy: true, value: celValue(&low)}}
			told := steps{
				"first":  {"state": "done", "outcome": "not_recovered", "position": "a", "to": "b", "detail": "thrown"},
				"second": {"state": "", "outcome": "", "position": "", "to": "c", "detail": ""},
			}
			in.steps = func() steps { return told }
			if ok, err := c.holds(in); !ok || err != nil {
				b.Fatal(ok, err)
			}
			b.ReportAllocs()
			for b.Loop() {
				one := *in // each decision makes its own
				if ok, _ := c.holds(&one); !ok {
					b.Fatal("it no longer holds")
				}
			}
		})
	}
}
