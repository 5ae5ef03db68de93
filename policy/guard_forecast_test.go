package policy

import (
	"testing"

	signalbox "github.com/signalbox/signalbox"
)

func TestGuardForecast(t *testing.T) {
	cases := map[string]struct {
		change func(f *signalbox.Forecast)
		detail string
	}{
		"refused":    {func(f *signalbox.Forecast) { f.Refused = "the value is not listed" }, "refused: the value is not listed"},
		"already":    {func(f *signalbox.Forecast) { f.Already = true }, "it is there already"},
		"no targets": {func(f *signalbox.Forecast) { f.Targets = nil }, "which targets"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			c.change(b.foresee(throwTo("b"), "a"))
			d := b.blocked("forecast", c.detail)
			if d.Until.IsZero() || d.Until.After(noon.Add(lookAgain)) {
				t.Errorf("due again at %s", d.Until)
			}
			b.paged(d)
			b.want(signalbox.Hold, "forecast")
			b.later(lookAgain)
			b.want(signalbox.Preview, "forecast")
		})
	}
}
