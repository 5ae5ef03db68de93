package loki

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
)

func readAll(t testing.TB, s *shelf, most, page int) signalbox.Answer {
	t.Helper()
	settings := newSettings()
	settings.PageSize = page
	q := question{query: linesQuery, back: time.Hour, reach: time.Hour, lines: most}
	return newSource(settings, over(s.RoundTrip)).Ask(t.Context(), []signalbox.Question{{Query: q.text()}}, s.now)[0]
}

// Whatever times lines share, and wherever pages end, each line is read once
// and in order; or, where more share one than a page holds, an error says so.
func TestPages(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := &shelf{now: moment}
		n := rapid.IntRange(0, 60).Draw(rt, "lines")
		same := map[int]int{}
		for i := range n {
			when := rapid.IntRange(1, 12).Draw(rt, "when")
			same[when]++
			s.lines = append(s.lines, arrival{at: moment.Add(-time.Duration(when)), env: rapid.SampledFrom([]string{"eu", "us"}).Draw(rt, "env"), text: fmt.Sprint(i)})
		}
		page := rapid.IntRange(10, 20).Draw(rt, "page")
		crowded := 0
		for _, lines := range same {
			crowded = max(crowded, lines)
		}
		a := readAll(t, s, 1000, page)
		if a.Err != nil {
			if crowded < page || !strings.Contains(a.Err.Error(), "have the same time") {
				rt.Fatalf("%v, with at most %d lines of one time", a.Err, crowded)
			}
			return
		}
		seen := map[string]bool{}
		for _, sample := range a.Samples {
			seen[sample.Text] = true
		}
		if len(a.Samples) != n || len(seen) != n || len(a.Warnings) > 0 || !slices.IsSortedFunc(a.Samples, func(a, b signalbox.Sample) int { return a.At.Compare(b.At) }) {
			rt.Fatalf("%d samples, %d different, of %d: %v", len(a.Samples), len(seen), n, a.Warnings)
		}
		if most := n / 2; most > 0 {
			if a := readAll(t, s, most, page); a.Err != nil || len(a.Samples) != most || len(a.Warnings) != 1 {
				rt.Fatalf("%d samples of at most %d: %v, %v", len(a.Samples), most, a.Warnings, a.Err)
			}
		}
	})
}

// A page that is full of one time is an error, also when it is the first.
func TestAPageOfOneTime(t *testing.T) {
	s := &shelf{now: moment}
	for i := range 10 {
		s.lines = append(s.lines, arrival{at: moment.Add(-time.Hour), text: fmt.Sprint(i)})
	}
	if a := readAll(t, s, 1000, 10); a.Err == nil || !strings.Contains(a.Err.Error(), "10 lines or more have the same time, 2026-03-01T11:00:00Z") {
		t.Errorf("%d samples, %v", len(a.Samples), a.Err)
	}
	if a := readAll(t, s, 1000, 11); a.Err != nil || len(a.Samples) != 10 || s.asked.Load() != 2 {
		t.Errorf("%d samples in %d requests, %v", len(a.Samples), s.asked.Load(), a.Err)
	}
}

// What is held of one answer is bounded, however long the lines are.
func TestLongLines(t *testing.T) {
	s := &shelf{now: moment}
	for i := range 5 {
		s.lines = append(s.lines, arrival{at: moment.Add(-time.Duration(i+1) * time.Second), text: strings.Repeat("x", 1<<20)})
	}
	r := reader{source: sourceOver(s.RoundTrip), question: question{query: linesQuery, lines: 1000}, start: moment.Add(-time.Hour).UnixNano(), end: moment.UnixNano(), bytes: maxBytes - 3<<20}
	more, err := r.next(t.Context())
	if err != nil || more || len(r.samples) != 3 || len(r.warnings) != 1 {
		t.Errorf("%d samples, %v, %v, more: %v", len(r.samples), r.warnings, err, more)
	}
}
