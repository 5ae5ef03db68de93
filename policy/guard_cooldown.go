package policy

import (
	"fmt"
	"slices"
	"time"
)

// guardCooldown spaces the actions on a target, whatever policy or incident
// they are of. It compares wall times, so a clock that went back is a cooldown
// that has not passed.
func guardCooldown(l *look, m *move) answer {
	if len(m.targets) == 0 {
		return answer{}
	}
	calm := answer{effect: passes, detail: fmt.Sprintf("no action yet, cooldown %s", span(m.plan.Cooldown))}
	for _, t := range m.targets {
		l.readTarget(t)
		s := l.w.State.Targets[t]
		if s == nil || len(s.Acted) == 0 {
			continue
		}
		last := slices.MaxFunc(s.Acted, time.Time.Compare)
		rest := l.rested(s, m.plan.Cooldown)
		detail := fmt.Sprintf("last action on %s %s ago, cooldown %s", t, span(l.now.Sub(last)), span(rest))
		if rest > m.plan.Cooldown {
			detail += fmt.Sprintf(" (%s, doubled for each action beyond the second in a day)", span(m.plan.Cooldown))
		}
		if end := last.Add(rest); l.now.Before(end) {
			l.at(end)
			return answer{blocks, detail, "passes at " + clock(end)}
		}
		calm.detail = detail
	}
	return calm
}
