package freshness

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// Ages answers how old the samples behind a result series are.
//
// A sample of a selector stands behind a result when it agrees with it on every
// label that they share, of those that reach the result: that is as much as can
// be known without evaluating the query. Of all that stand behind it the oldest
// counts: an aggregate is as old as its oldest part, and one dead exporter of
// ten makes an average a lie. A selector of which no sample stands behind the
// result makes it Unknown, unless the query can do without it (`or`, `unless`,
// absent).
type Ages struct {
	selectors []selectorAges
}

type selectorAges struct {
	selector
	groups map[string]*nameGroup         // by the names of the labels
	found  map[string]map[string]Moments // by the names of a result's labels, then by the values of the shared ones
	shared map[string][][]string
}

// nameGroup is the samples whose labels have the same names.
type nameGroup struct {
	names   []string
	samples []signalbox.Sample
}

// Moments are the oldest and the newest sample time of a group.
type Moments struct{ Oldest, Newest time.Time }

func (m Moments) with(o Moments) Moments {
	if m.Oldest.IsZero() || o.Oldest.Before(m.Oldest) {
		m.Oldest = o.Oldest
	}
	if o.Newest.After(m.Newest) {
		m.Newest = o.Newest
	}
	return m
}

// NewAges indexes the answers to a query's freshness questions. The index is
// for one round, and not for concurrent use.
func NewAges(q *Query, answer func(question string) signalbox.Answer) *Ages {
	a := &Ages{}
	for _, s := range q.selectors {
		sa := selectorAges{
			selector: s, groups: map[string]*nameGroup{},
			found: map[string]map[string]Moments{}, shared: map[string][][]string{},
		}
		for _, sample := range answer(s.question).Samples {
			names := slices.Sorted(maps.Keys(sample.Labels))
			key := strings.Join(names, "\xff")
			if sa.groups[key] == nil {
				sa.groups[key] = &nameGroup{names: names}
			}
			sa.groups[key].samples = append(sa.groups[key].samples, sample)
		}
		a.selectors = append(a.selectors, sa)
	}
	return a
}

// Behind returns the times of the samples behind a result; ok is false when a
// selector that is needed has none, or none has any.
func (a *Ages) Behind(labels map[string]string) (m Moments, ok bool) {
	names := slices.Sorted(maps.Keys(labels))
	key := strings.Join(names, "\xff")
	for i := range a.selectors {
		s := &a.selectors[i]
		of, there := s.behind(labels, names, key)
		if !there && !s.optional {
			return Moments{}, false
		}
		if there {
			m, ok = m.with(of), true
		}
	}
	return m, ok
}

func (s *selectorAges) behind(labels map[string]string, names []string, key string) (m Moments, ok bool) {
	if s.found[key] == nil {
		s.index(names, key)
	}
	for _, shared := range s.shared[key] {
		if of, there := s.found[key][joined(shared, labels)]; there {
			m, ok = m.with(of), true
		}
	}
	return m, ok
}

// index makes the look-up for results whose labels have the given names.
func (s *selectorAges) index(names []string, key string) {
	found := map[string]Moments{}
	for _, g := range s.groups {
		var shared []string
		for _, n := range g.names {
			if s.compare.has(n) && slices.Contains(names, n) {
				shared = append(shared, n)
			}
		}
		s.shared[key] = append(s.shared[key], shared)
		for _, sample := range g.samples {
			at := s.time(sample.Value)
			k := joined(shared, sample.Labels)
			found[k] = found[k].with(Moments{at, at})
		}
	}
	s.found[key] = found
}

// time is when a sample was taken, as if it were asked for without its offset.
func (s *selectorAges) time(unix float64) time.Time {
	if math.IsNaN(unix) || math.Abs(unix) > 1<<40 { // not a time: as old as can be
		return time.Unix(0, 0).UTC()
	}
	sec, frac := math.Modf(unix)
	return time.Unix(int64(sec), int64(math.Round(frac*1e3))*int64(time.Millisecond)).UTC().Add(s.offset)
}

// joined is a key of names and values that no label can forge.
func joined(names []string, labels map[string]string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString(n)
		b.WriteByte(0xff) // in no UTF-8 text
		b.WriteString(labels[n])
		b.WriteByte(0xff)
	}
	return b.String()
}
