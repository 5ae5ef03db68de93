package loki

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/signalbox/signalbox/internal/kind"
)

// Logs says which lines are read, and what is taken out of them.
type Logs struct {
	// LogQL that selects lines: {app="psp"} |= "webhook failed"
	Query string `yaml:"query" json:"query" jsonschema:"required"`
	// A regular expression (RE2) with named groups, that each line must match.
	Pattern string `yaml:"pattern,omitempty" json:"pattern,omitempty"`
	// The named groups that together are the id; absent: lines are counted.
	IDs []string `yaml:"ids,omitempty" json:"ids,omitempty"`
	// Within what time more ids, or lines, than breach.above are a breach: 5m
	Window kind.Duration `yaml:"window,omitempty" json:"window,omitzero" default:"5m"`
	// By how long a line may come late, by its own time, and still count; at most 1h.
	Delay kind.Duration `yaml:"delay,omitempty" json:"delay,omitzero" default:"1m"`
	// At most so many lines are read in one round.
	MaxLines int `yaml:"max_lines,omitempty" json:"max_lines,omitempty" default:"10000"`
	// At most so many ids are listed in an incident.
	MaxIDs int `yaml:"max_ids,omitempty" json:"max_ids,omitempty" default:"500"`
	// How far back a round reads at the most, when earlier ones failed or the daemon was down.
	MaxLookback kind.Duration `yaml:"max_lookback,omitempty" json:"max_lookback,omitzero" default:"6h"`
}

// Defaults and bounds. Ids of an incident must fit into one record of the
// store.
const (
	defaultWindow   = 5 * time.Minute
	defaultDelay    = time.Minute
	defaultLookback = 6 * time.Hour
	defaultLines    = 10_000
	defaultIDs      = 500

	mostWindow   = 24 * time.Hour
	mostDelay    = time.Hour
	mostLookback = 30 * 24 * time.Hour
	mostLines    = 100_000
	mostIDs      = 1_000
	maxCount     = mostLines
)

// leastKeep is how long an incident of a stream stays open at the least after
// its last breach: more than the age of what a restart finds as the moment of
// the last good round.
const leastKeep = time.Minute

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

func (l *Logs) window() time.Duration { return or(l.Window.Std(), defaultWindow) }
func (l *Logs) late() time.Duration   { return or(l.Delay.Std(), defaultDelay) }
func (l *Logs) back() time.Duration   { return l.window() + l.late() }
func (l *Logs) reach() time.Duration  { return or(l.MaxLookback.Std(), defaultLookback) }
func (l *Logs) lines() int            { return or(l.MaxLines, defaultLines) }
func (l *Logs) most() int             { return or(l.MaxIDs, defaultIDs) }

func (l *Logs) validate(fail kind.Fail) {
	if err := parseLines(l.Query); err != nil {
		fail("logs.query", err.Error(), l.Query)
	}
	if _, err := newPattern(l.Pattern, l.IDs); err != nil {
		path := "logs.pattern"
		if errors.Is(err, errIDs) {
			path = "logs.ids"
		}
		fail(path, err.Error(), nil)
	}
	if l.window() < time.Second || l.window() > mostWindow {
		fail("logs.window", "must be from 1s to 24h", l.Window)
	}
	if l.late() < time.Second || l.late() > mostDelay {
		fail("logs.delay", "must be from 1s to 1h", l.Delay)
	}
	if l.reach() < 2*l.back() || l.reach() > mostLookback {
		fail("logs.max_lookback", fmt.Sprintf("must be at least twice the window and delay together (%s), and at most 30d", kind.Duration(2*l.back())), kind.Duration(l.reach()))
	}
	if l.lines() < 1 || l.lines() > mostLines {
		fail("logs.max_lines", fmt.Sprintf("must be from 1 to %d", mostLines), l.MaxLines)
	}
	if l.most() < 1 || l.most() > mostIDs {
		fail("logs.max_ids", fmt.Sprintf("must be from 1 to %d", mostIDs), l.MaxIDs)
	}
}

// build makes the detector of a stream.
func (l *Logs) build(b base, above float64) (*follower, error) {
	if err := parseLines(l.Query); err != nil {
		return nil, fmt.Errorf("logs.query %w", err)
	}
	p, err := newPattern(l.Pattern, l.IDs)
	if err != nil {
		return nil, fmt.Errorf("logs.pattern or logs.ids %w", err)
	}
	b.window = l.back() + b.common.Interval
	by := append(b.common.Subject.Labels(), b.common.Labels...)
	slices.Sort(by)
	return &follower{
		base: b, pattern: p, above: int(above), by: slices.Compact(by),
		within: l.window(), late: l.late(), maxIDs: l.most(),
		asks: question{query: l.Query, back: l.back(), reach: l.reach(), lines: l.lines()},
	}, nil
}
