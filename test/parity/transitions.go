package parity

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/signalbox/signalbox/detectors/rules"
)

// Key names one alert: its rule, and its labels.
type Key struct{ Rule, Labels string }

// Transition is one change of an alert's state.
type Transition struct {
	Key
	To rules.State
	At time.Time
}

func (t Transition) String() string {
	return fmt.Sprintf("%s %s %s at %s", t.Rule, t.Labels, t.To, t.At.UTC().Format("15:04:05.000"))
}

// Labels writes labels in order, without those of names.
func Labels(all map[string]string, without ...string) string {
	var parts []string
	for _, n := range slices.Sorted(maps.Keys(all)) {
		if !slices.Contains(without, n) {
			parts = append(parts, fmt.Sprintf("%s=%q", n, all[n]))
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// Log is the transitions of one side.
type Log struct {
	now  map[string]map[Key]rules.State // by rule
	List []Transition
}

// NewLog returns a log in which all is inactive.
func NewLog() *Log { return &Log{now: map[string]map[Key]rules.State{}} }

// Take notes the whole state of a rule's alerts at a moment: those that are
// pending or firing.
func (l *Log) Take(rule string, alerts map[Key]rules.State, at time.Time) {
	for _, k := range slices.SortedFunc(maps.Keys(alerts), compare) {
		if was, there := l.now[rule][k]; !there || was != alerts[k] {
			l.List = append(l.List, Transition{k, alerts[k], at})
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(l.now[rule]), compare) {
		if _, still := alerts[k]; !still {
			l.List = append(l.List, Transition{k, rules.Inactive, at})
		}
	}
	l.now[rule] = alerts
}

func compare(a, b Key) int {
	if c := strings.Compare(a.Rule, b.Rule); c != 0 {
		return c
	}
	return strings.Compare(a.Labels, b.Labels)
}

// Differ lists the transitions that one side has and the other has not, within
// what the rule's interval is.
func Differ(a, b []Transition, within func(rule string) time.Duration) []string {
	left, right := byKey(a), byKey(b)
	var out []string
	for k, list := range left {
		other := right[k]
		for i, t := range list {
			switch {
			case i >= len(other):
				out = append(out, "only in the first: "+t.String())
			case other[i].To != t.To:
				out = append(out, fmt.Sprintf("%s, and in the second %s", t, other[i]))
			case other[i].At.Sub(t.At).Abs() > within(k.Rule):
				out = append(out, fmt.Sprintf("%s, and %s later in the second", t, other[i].At.Sub(t.At)))
			}
		}
	}
	for k, list := range right {
		for _, t := range list[min(len(list), len(left[k])):] {
			out = append(out, "only in the second: "+t.String())
		}
	}
	slices.Sort(out)
	return out
}

func byKey(list []Transition) map[Key][]Transition {
	out := map[Key][]Transition{}
	for _, t := range list {
		out[t.Key] = append(out[t.Key], t)
	}
	return out
}

// Count says how many transitions go to each state.
func Count(list []Transition) map[rules.State]int {
	out := map[rules.State]int{}
	for _, t := range list {
		out[t.To]++
	}
	return out
}
