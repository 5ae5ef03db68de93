package policy

import (
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// lookAgain is how long it takes until a target is previewed again while what
// was found there forbids a step: nothing else tells that it changed.
const lookAgain = 2 * time.Minute

// guardForecast asks that the preview did not refuse the step, and that there is
// something to do.
func guardForecast(l *look, m *move) answer {
	f := m.forecast
	switch {
	case f == nil:
		return answer{} // not asked yet
	case f.Refused != "":
		l.at(f.At.Add(lookAgain))
		return answer{effect: blocks, detail: "refused: " + f.Refused}
	case f.Already:
		l.at(f.At.Add(lookAgain))
		return answer{effect: blocks, detail: throw(m.step) + ": it is there already"}
	case len(f.Targets) == 0:
		l.at(f.At.Add(lookAgain))
		return answer{effect: blocks, detail: "it does not say which targets would be touched"}
	}
	return answer{effect: passes, detail: "found " + found(f) + ", touches " + joinTargets(f.Targets)}
}

func found(f *signalbox.Forecast) string {
	if f.Position != "" {
		return f.Position
	}
	return f.Found
}

func joinTargets(targets []signalbox.Target) string {
	parts := make([]string, len(targets))
	for i, t := range targets {
		parts[i] = string(t)
	}
	return joinAnd(parts)
}
