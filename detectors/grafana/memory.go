package grafana

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Bounds of what is told of a panel's changes.
const (
	tellFor   = 24 * time.Hour
	tellTimes = 3
)

// spot is where a panel was found.
type spot struct {
	dashboard string // uid
	panel     int64
}

// memory is what is known of each panel since the daemon started. It is safe
// for concurrent use.
type memory struct {
	mu     sync.Mutex
	panels map[string]*known // by Question.Query
}

// known is what was last found of one panel.
type known struct {
	at      spot
	facts   facts
	has     bool
	gone    string // why it can't be resolved, as it was logged; "": it can
	changes []change
}

type change struct {
	at   time.Time
	what []string
}

func (c change) String() string {
	return "the panel changed by " + c.at.UTC().Format("2006-01-02 15:04 MST") + ": " + strings.Join(c.what, "; ")
}

func (m *memory) panel(key string) *known {
	k := m.panels[key]
	if k == nil {
		k = &known{}
		m.panels[key] = k
	}
	return k
}

// where is the spot at which a panel was last found.
func (m *memory) where(key string) spot {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.panels[key]; k != nil {
		return k.at
	}
	return spot{}
}

// found takes note of a panel as it is now, and returns what changed of late.
func (m *memory) found(key string, at spot, now facts, when time.Time) (changed, late []string, back bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.panel(key)
	if k.has {
		if changed = k.facts.changes(now); len(changed) > 0 {
			k.changes = append(k.changes, change{when, changed})
		}
	}
	back, k.gone = k.gone != "", ""
	k.at, k.facts, k.has = at, now, true
	if over := len(k.changes) - tellTimes; over > 0 {
		k.changes = k.changes[over:]
	}
	for _, c := range k.changes {
		if when.Sub(c.at) < tellFor {
			late = append(late, c.String())
		}
	}
	return changed, late, back
}

// lost takes note that a panel can't be resolved. It reports whether that is
// new.
func (m *memory) lost(key, why string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.panel(key)
	isNew := k.gone != why
	k.gone = why
	return isNew
}

// found takes note of a panel, logs what is another, and returns what changed of
// late.
func (s *Source) found(key string, ref reference, at spot, now facts, when time.Time) []string {
	changed, late, back := s.memory.found(key, at, now, when)
	log := s.log.With("dashboard", ref.Dashboard, "panel", ref.Panel, "detectors", s.detectorsOf(key))
	if len(changed) > 0 {
		log.Warn("the panel changed", "changes", strings.Join(changed, "; "))
	}
	if back {
		log.Info("the panel can be resolved again")
	}
	return late
}

// lost logs a panel that can't be resolved, once. What could only not be read
// now is no news of the panel.
func (s *Source) lost(key string, ref reference, err error) {
	if errors.Is(err, errUnread) || !s.memory.lost(key, err.Error()) {
		return
	}
	s.log.Warn("the panel can't be resolved", "dashboard", ref.Dashboard, "panel", ref.Panel, "detectors", s.detectorsOf(key), "error", err.Error())
}

// moved says how a panel that was found before is called now.
func (d *dashboard) moved(was spot) error {
	for i := range d.all {
		p := &d.all[i]
		if d.UID == was.dashboard && int64(p.ID) == was.panel && p.RepeatOf == 0 {
			return fmt.Errorf("%w: the one that had that name, number %d, is now called %q", errNoPanel, p.ID, plain(p.title(nil)))
		}
	}
	return nil
}
