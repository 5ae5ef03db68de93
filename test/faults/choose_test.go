package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// campaign is one continuation of it.
type campaign struct {
	binary, health, commit string
	only, of               string // row, and what its variants' names hold; empty: all
	until                  time.Time

	mu      sync.Mutex
	seed    uint64
	results Results
	planned map[string]int  // faults under way, by row and variant
	played  int             // parts
	out     map[string]bool // rows that are not played, by key
	broken  map[string]int  // parts in succession that came to no verdict, by the row's key
}

// mostBroken is how many parts of a row in succession may come to no verdict
// before it is left out.
const mostBroken = 3

// leaveOut leaves out the rows that can't be played here, and says so once; one
// that was asked for must be.
func (c *campaign) leaveOut(t testing.TB, lacks func(*row) string) {
	t.Helper()
	c.out, c.broken = map[string]bool{}, map[string]int{}
	for i := range rows {
		r := &rows[i]
		if c.only != "" && r.key != c.only {
			continue
		}
		why := r.notYet
		if why == "" {
			why = lacks(r)
		}
		if why == "" {
			continue
		}
		if c.only != "" {
			t.Fatalf("row %s can't be played here: %s", r.key, why)
		}
		c.out[r.key] = true
		t.Logf("row %s is left out, since it can't be played here: %s", r.key, why)
	}
}

func (c *campaign) goesOn() bool { return time.Now().Before(c.until) }

// variants are those of a row that are to be played.
func (c *campaign) variants(r *row) []variant {
	if r.play == nil {
		return []variant{{}}
	}
	return slices.DeleteFunc(r.variants(), func(v variant) bool { return !strings.Contains(v.String(), c.of) })
}

// choose returns what is to be played next: of the row of which the least share
// is done, the variant with the fewest faults. No row: none can be played.
func (c *campaign) choose() (*row, variant, uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.planned == nil {
		c.planned = map[string]int{}
	}
	done := map[string]int{}
	for k, n := range c.planned {
		done[k] += n
	}
	for _, p := range c.results.Parts {
		name := rowNamed(p.Row)
		done[name] += p.Faults + p.Missed
		done[name+"/"+p.Of] += p.Faults + p.Missed
	}
	var next *row
	share := func(r *row) float64 { return float64(done[r.name]) / float64(r.full) }
	for i := range rows {
		r := &rows[i]
		if c.out[r.key] || c.broken[r.key] >= mostBroken || c.only != "" && r.key != c.only {
			continue
		}
		if next == nil || share(r) < share(next) {
			next = r
		}
	}
	if next == nil {
		return nil, variant{}, 0
	}
	c.seed++
	if next.play == nil {
		c.planned[next.name]++
		return next, variant{}, c.seed
	}
	all := c.variants(next)
	rand.New(rand.NewPCG(c.seed, 7)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	v := slices.MinFunc(all, func(a, b variant) int { return done[next.name+"/"+a.String()] - done[next.name+"/"+b.String()] })
	c.planned[next.name] += next.batch
	c.planned[next.name+"/"+v.String()] += next.batch
	return next, v, c.seed
}

// over takes a part off what is planned: its results count now, if it came to
// any.
func (c *campaign) over(r *row, v variant, judged bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken[r.key]++; judged {
		c.played++
		c.broken[r.key] = 0
	}
	c.planned[r.name] -= max(r.batch, 1)
	c.planned[r.name+"/"+v.String()] -= r.batch
}

// part plays one part, judges and saves it; false: there is none.
func (c *campaign) part(t *testing.T, n int) bool {
	row, v, seed := c.choose()
	if row == nil {
		t.Errorf("no row is left: each that was tried came to no verdict %d times in succession", mostBroken)
		return false
	}
	judged := false
	t.Run(fmt.Sprintf("%d %s %s", n, row.key, v), func(t *testing.T) {
		r := newRun(t, seed, c.binary, c.health)
		var o outcome
		of := ""
		if row.elsewhere != nil {
			o = row.elsewhere(r)
		} else {
			of = v.String()
			o = row.play(r, v, row.batch)
		}
		for _, w := range o.Wrong {
			t.Errorf("seed %d: %s", seed, w)
		}
		t.Logf("%s, %s: faults %d, missed %d, alerts %d, effects %d, in doubt %d", row.key, of, o.faults, o.missed, o.Alerts, o.Effects, o.InDoubt)
		lease := ""
		if v.lease > 0 {
			lease = v.lease.String()
		}
		c.save(t, Part{Lease: lease, Store: v.store, Row: row.name, Of: of, Seed: seed, Commit: c.commit, Date: time.Now().UTC(), Faults: o.faults, Missed: o.missed, verdict: o.verdict})
		judged = true
	})
	c.over(row, v, judged)
	return true
}

func (c *campaign) save(t *testing.T, p Part) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results.Add(p)
	if err := c.results.Save(resultsFile); err != nil {
		t.Fatal(err)
	}
	if err := replace(tableFile, Render(c.results)); err != nil {
		t.Fatal(err)
	}
}

// A row that can't be played here is left out, and one that comes to no verdict
// again and again is too; once none is left there is nothing to play.
func TestCampaignLeavesOutWhatCantBePlayed(t *testing.T) {
	t.Parallel()
	c := &campaign{}
	c.leaveOut(t, func(r *row) string { return map[bool]string{true: "it needs root"}[r.root] })
	seen := map[string]int{}
	for range 1000 {
		r, v, _ := c.choose()
		if r == nil {
			break
		}
		seen[r.key]++
		c.over(r, v, false)
	}
	for _, r := range rows {
		want := mostBroken
		if r.root {
			want = 0
		}
		if seen[r.key] != want {
			t.Errorf("row %s was chosen %d times, want %d", r.key, seen[r.key], want)
		}
	}
	if c.played != 0 {
		t.Errorf("%d parts count as played, and none was judged", c.played)
	}
	if c.broken["random"] = 0; true {
		r, v, _ := c.choose()
		if r == nil || r.key != "random" {
			t.Fatalf("got %v", r)
		}
		if c.over(r, v, true); c.broken["random"] != 0 || c.played != 1 {
			t.Errorf("a part that was judged: %d broken, %d played", c.broken["random"], c.played)
		}
	}
}
