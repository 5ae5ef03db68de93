package policy

import (
	"fmt"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// guardCooldown spaces the actions on a target, whatever policy or incident
// they are of. It compares wall times, so a clock that went back is a cooldown
// that has not passed.
func guardCooldown(l *look, m *move) answer {
	if len(m.targets) == 0 {
		return answer{}
	}
	calm := answer{passes, fmt.Sprintf("no action yet, cooldown %s", span(m.plan.Cooldown))}
	for _, t := range m.targets {
		l.read(signalbox.TargetKey(t))
		s := l.w.State.Targets[t]
		if s == nil || len(s.Acted) == 0 {
			continue
		}
		last := slices.MaxFunc(s.Acted, time.Time.Compare)
		detail := fmt.Sprintf("last action on %s %s ago, cooldown %s", t, span(l.now.Sub(last)), span(m.plan.Cooldown))
		if end := last.Add(m.plan.Cooldown); l.now.Before(end) {
			l.at(end)
			return answer{blocks, detail}
		}
		calm.detail = detail
	}
	return calm
}
