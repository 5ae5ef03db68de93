package loki

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// shelf answers as Loki does, out of lines that come at their time: a range
// with its end not included, forward, the first lines up to a limit.
type shelf struct {
	now   time.Time
	lines []arrival
	fail  bool // it answers 500
	quiet bool // presence is not proved
	asked atomic.Int64
}

type arrival struct {
	at, comes time.Time
	env, text string
}

func (s *shelf) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked.Add(1)
	body, code := "oops", http.StatusInternalServerError
	switch v := r.URL.Query(); {
	case s.fail:
	case strings.HasSuffix(r.URL.Path, "/query"):
		code = http.StatusOK
		body = fmt.Sprintf(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[%d,"1"]}]}}`, s.now.Unix())
		if s.quiet {
			body = `{"status":"success","data":{"resultType":"vector","result":[]}}`
		}
	default:
		code, body = http.StatusOK, s.read(v.Get("start"), v.Get("end"), v.Get("limit"))
	}
	return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func (s *shelf) read(start, end, limit string) string {
	from, _ := strconv.ParseInt(start, 10, 64)
	to, _ := strconv.ParseInt(end, 10, 64)
	most, _ := strconv.Atoi(limit)
	var found []arrival
	for _, l := range s.lines {
		if ns := l.at.UnixNano(); ns >= from && ns < to && !l.comes.After(s.now) {
			found = append(found, l)
		}
	}
	slices.SortStableFunc(found, func(a, b arrival) int { return a.at.Compare(b.at) })
	byEnv := map[string][][2]string{}
	for _, l := range found[:min(most, len(found))] {
		byEnv[l.env] = append(byEnv[l.env], [2]string{fmt.Sprint(l.at.UnixNano()), l.text})
	}
	type stream struct {
		Stream map[string]string `json:"stream"`
		Values [][2]string       `json:"values"`
	}
	out := []stream{}
	for env, values := range byEnv {
		out = append(out, stream{map[string]string{"app": "psp", "env": env}, values})
	}
	b, _ := json.Marshal(out)
	return `{"status":"success","data":{"resultType":"streams","result":` + string(b) + `}}`
}

func failed(id int) string { return line(time.Time{}, id).Text }

// story is one run of the model.
type story struct {
	shelf    *shelf
	daemon   *daemon
	interval time.Duration
	goods    map[time.Time]time.Time // the good moment, as it was known at a moment
}

// advance plays one interval: what comes, and one round unless the daemon is
// down.
func (s *story) advance(t *testing.T, up bool) {
	s.shelf.now = s.shelf.now.Add(s.interval)
	if up {
		s.daemon.round(t.Context(), s.shelf.now)
	}
	s.goods[s.shelf.now] = s.daemon.tracker.Good()
}

// restart forgets all but what is durable: what is open, and a good moment as
// it was known some time ago.
func (s *story) restart(behind time.Duration) {
	known := s.daemon.tracker.Good()
	s.daemon.restart(0)
	for at, good := range s.goods {
		if !good.IsZero() && !at.After(s.shelf.now.Add(-behind)) && at.After(s.shelf.now.Add(-behind-s.interval)) {
			known = good
		}
	}
	open := s.daemon.tracker.Open()
	s.daemon.tracker = newTracker(s.daemon)
	s.daemon.tracker.Restore(open, known)
}

// Whatever comes late within delay, whatever fails and restarts: of unique
// lines no id is told twice, and all are told that lie with more than are borne
// within a window.
func TestEachIDIsToldOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seconds := func(name string, least, most int) time.Duration {
			return time.Duration(rapid.IntRange(least, most).Draw(rt, name)) * time.Second
		}
		d := logSettings(t)
		above := rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(rt, "above")
		d.Breach.Above = quantity(t, fmt.Sprint(above))
		window, delay := seconds("window", 5, 120), seconds("delay", 1, 120)
		d.Logs.Window, d.Logs.Delay = kind.Duration(window), kind.Duration(delay)
		d.KeepFiringFor, d.Clear.For = kind.Duration(seconds("keep", 0, 90)), kind.Duration(seconds("clear", 0, 90))
		s := &story{shelf: &shelf{now: moment}, interval: 15 * time.Second, goods: map[time.Time]time.Time{}}
		settings := newSettings()
		settings.PageSize = leastPage
		s.daemon = follow(t, d, "psp", newSource(settings, over(s.shelf.RoundTrip)))
		s.advance(t, true) // without a good round there is nothing to read on from
		down := 0
		for range rapid.IntRange(5, 80).Draw(rt, "rounds") {
			s.shelf.fail, s.shelf.quiet = rapid.IntRange(0, 7).Draw(rt, "fails") == 0, rapid.IntRange(0, 7).Draw(rt, "quiet") == 0
			for range rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2, 5}).Draw(rt, "events") {
				at := s.shelf.now.Add(seconds("within", 0, 15))
				s.shelf.lines = append(s.shelf.lines, arrival{
					at: at, comes: at.Add(min(delay, seconds("late", 0, 120))),
					env: rapid.SampledFrom([]string{"eu", "us"}).Draw(rt, "env"), text: failed(len(s.shelf.lines)),
				})
			}
			switch {
			case down > 0:
				down--
			case rapid.IntRange(0, 15).Draw(rt, "restarts") == 0:
				s.restart(seconds("behind", 0, 40)) // and up to an interval more
				down = rapid.SampledFrom([]int{0, 0, 1, 30}).Draw(rt, "down")
			}
			s.advance(t, down == 0)
		}
		s.shelf.fail, s.shelf.quiet = false, false
		for range 40 { // all has come, and all incidents end
			s.advance(t, true)
		}
		if open := s.daemon.tracker.Open(); len(open) > 0 {
			rt.Fatalf("still open: %+v", open)
		}
		s.check(rt, above, window)
	})
}

func (s *story) check(t *rapid.T, above int, window time.Duration) {
	told := map[string]int{}
	for _, id := range s.daemon.ids() {
		if told[id]++; told[id] > 1 {
			t.Fatalf("%s was told twice: %v", id, s.daemon.told)
		}
	}
	lines := slices.Clone(s.shelf.lines)
	id := map[arrival]string{}
	for i, l := range lines {
		id[l] = event(i)
	}
	slices.SortStableFunc(lines, func(a, b arrival) int { return a.at.Compare(b.at) })
	for i := range lines {
		if i < above || lines[i].at.Sub(lines[i-above].at) >= window {
			continue
		}
		for _, l := range lines[i-above : i+1] {
			if told[id[l]] == 0 {
				t.Fatalf("%s of %s, which came at %s, was not told: %v", id[l], l.at, l.comes, slices.Sorted(maps.Keys(told)))
			}
		}
	}
}

// What lies further back than max_lookback is told, is not waited for without
// end, and what lies nearer is read.
func TestGap(t *testing.T) {
	d := logSettings(t)
	d.Logs.MaxLookback = kind.Duration(30 * time.Minute)
	s := &story{shelf: &shelf{now: moment}, interval: 15 * time.Second, goods: map[time.Time]time.Time{}}
	s.daemon = follow(t, d, "psp", newSource(newSettings(), over(s.shelf.RoundTrip)))
	s.advance(t, true)
	add := func(before time.Duration, id int) {
		at := s.shelf.now.Add(-before)
		s.shelf.lines = append(s.shelf.lines, arrival{at, at, "eu", failed(id)})
	}
	s.shelf.now = s.shelf.now.Add(2 * time.Hour)
	add(time.Hour, 1)
	add(20*time.Minute, 2)
	s.advance(t, true)
	if got := words(s.daemon.last); got != "failures unknown, psp breached 1" {
		t.Fatalf("%s: %+v", got, s.daemon.last)
	}
	why := s.daemon.last[1].Reason
	if want := "the log from 2026-03-01T11:59:15Z to 2026-03-01T13:30:30Z was not read"; !strings.HasPrefix(why, want) || s.daemon.last[0].SampleAt.After(s.shelf.now.Add(-20*time.Minute)) {
		t.Errorf("%+v", s.daemon.last)
	}
	told := 0
	for ; strings.Contains(words(s.daemon.last), "unknown"); told++ {
		s.advance(t, true)
		if told > 100 {
			t.Fatalf("it waits without end: %+v", s.daemon.last)
		}
	}
	if held := time.Duration(told) * s.interval; held < 5*time.Minute || held > 7*time.Minute {
		t.Errorf("told for %s", held)
	}
	add(0, 3)
	s.advance(t, true)
	if got := s.daemon.ids(); !slices.Equal(got, []string{event(2), event(3)}) {
		t.Errorf("told %v", got)
	}
	for _, r := range s.daemon.last {
		if r.Series == gapSeries {
			t.Errorf("%+v", r)
		}
	}
}

// More lines than are read at once prove a breach, never health; the range is
// read again, until it fits, and nothing in it is lost or told twice.
func TestMoreLinesThanAreRead(t *testing.T) {
	d := logSettings(t)
	d.Logs.MaxLines, d.Logs.MaxIDs, d.Logs.MaxLookback = 30, 25, kind.Duration(20*time.Minute)
	s := &story{shelf: &shelf{now: moment}, interval: 15 * time.Second, goods: map[time.Time]time.Time{}}
	s.daemon = follow(t, d, "psp", newSource(newSettings(), over(s.shelf.RoundTrip)))
	s.advance(t, true)
	for i := range 40 {
		at := s.shelf.now.Add(time.Duration(i) * time.Millisecond)
		s.shelf.lines = append(s.shelf.lines, arrival{at, at, "eu", failed(i)})
	}
	s.advance(t, true)
	if got := words(s.daemon.last); got != "failures unknown, psp breached 30" || s.daemon.tracker.Good().After(moment.Add(s.interval)) {
		t.Fatalf("%s: %+v", got, s.daemon.last)
	}
	if r := s.daemon.last[0]; len(r.Items) != 25 || !strings.Contains(r.Summary, "5 more are not listed, since an incident lists at most 25") {
		t.Errorf("%d items: %s", len(r.Items), r.Summary)
	}
	if r := s.daemon.last[1]; !strings.Contains(r.Reason, "more lines from 2026-03-01T12:00:15Z on than are read at once, 30") {
		t.Errorf("%+v", r)
	}
	for range 200 {
		s.advance(t, true)
	}
	if got := words(s.daemon.last); got != "psp clear 0" || len(s.daemon.tracker.Open()) > 0 || len(s.daemon.told) != 1 {
		t.Errorf("%s, told %v", got, s.daemon.told)
	}
	// Lines of which none holds an id can't prove anything.
	for i := range 40 {
		at := s.shelf.now.Add(time.Duration(i) * time.Millisecond)
		s.shelf.lines = append(s.shelf.lines, arrival{at, at, "eu", "webhook failed"})
	}
	s.advance(t, true)
	if got := words(s.daemon.last); got != "failures unknown, psp unknown" {
		t.Errorf("%s: %+v", got, s.daemon.last)
	}
}

var _ signalbox.Follower = (*follower)(nil)
