package sandbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// What people would call ill, and well again. The daemon has thresholds of its
// own; these only say when something is worth a line.
const (
	staleReads, freshReads   = 1.0, 0.5 // seconds
	oldWebhooks, newWebhooks = 3.0, 1.0 // seconds
	badVisits, goodVisits    = 0.05, 0.01
	summaryEvery             = 20 * time.Second
)

// story remembers what was told, so that each change is told once. It is not
// safe for concurrent use.
type story struct {
	tell func(who, text string)

	on                []scene
	last              state
	stale, old, fails bool
	summaryAt         time.Duration // uptime
}

// follow tells what is new in s.
func (t *story) follow(on []scene, s state) {
	t.scenes(on)
	if s.readers != t.last.readers {
		t.tell(whoCompany, "readers of db/eu now read from "+s.readers)
	}
	lag, reached := s.readsLag()
	t.turn(&t.stale, !reached || lag > staleReads, reached && lag < freshReads,
		"readers of db/eu "+seen(lag, reached), "readers of db/eu see fresh data again ("+seconds(lag)+" old)")
	t.turn(&t.old, s.webhookAge() > oldWebhooks, s.webhookAge() < newWebhooks,
		fmt.Sprintf("%.0f PSP webhooks wait, the oldest for %s", s.waiting, seconds(s.webhookAge())), "the PSP webhook queue is short again")
	worst := s.worstPOP()
	t.turn(&t.fails, worst > badVisits, worst < goodVisits,
		fmt.Sprintf("visitors get errors from the CDN: %.0f%% at the worst POP", worst*100), "visitors are served by the CDN again")
	if s.uptime >= t.summaryAt {
		t.tell(whoMetrics, s.summary())
		t.summaryAt = s.uptime + summaryEvery
	}
	t.on, t.last = on, s
}

// scenes tells what breaks and what heals.
func (t *story) scenes(on []scene) {
	is := func(s scene) func(scene) bool { return func(o scene) bool { return o.name == s.name } }
	for _, s := range t.on {
		if !slices.ContainsFunc(on, is(s)) {
			t.tell(whoCompany, s.heals)
		}
	}
	for _, s := range on {
		if !slices.ContainsFunc(t.on, is(s)) {
			t.tell(whoCompany, s.breaks)
		}
	}
}

// turn tells when something becomes ill or well; between the two thresholds
// it stays what it was.
func (t *story) turn(is *bool, ill, well bool, illText, wellText string) {
	switch {
	case !*is && ill:
		*is = true
		t.tell(whoCompany, illText)
	case *is && well:
		*is = false
		t.tell(whoCompany, wellText)
	}
}

func seen(lag float64, reached bool) string {
	if !reached {
		return "reach no replica: all reads fail"
	}
	return "see data that is " + seconds(lag) + " old"
}

// seconds writes a length of time as people would.
func seconds(v float64) string {
	if v < 1 {
		return fmt.Sprintf("%.0fms", v*1000)
	}
	return fmt.Sprintf("%.1fs", v)
}

func (s state) worstPOP() float64 {
	worst := 0.0
	for pop := range popCount {
		worst = max(worst, s.popErrors(pop))
	}
	return worst
}

// summary is the company in one line.
func (s state) summary() string {
	reads := "all reads fail"
	if lag, ok := s.readsLag(); ok {
		reads = "reads " + seconds(lag) + " old"
	}
	return fmt.Sprintf("%s · replicas %s and %s behind · %.0f webhooks wait · payouts %.1f/s · CDN errors %.1f%%",
		reads, seconds(s.lag(0)), seconds(s.lag(1)), s.waiting, payoutRate*(1-s.pspErrors()), s.worstPOP()*100)
}

// wrote says what a write to a switch did, and whose it was: with the value of
// an automatic write goes its fence.
func wrote(name string, was, is setting) string {
	by := author(was, is)
	if was.Value == is.Value {
		return fmt.Sprintf("%s stays at %s, written %s", name, is.Value, by)
	}
	return fmt.Sprintf("%s: %s -> %s, written %s", name, was.Value, is.Value, by)
}

func author(was, is setting) string {
	var old, fence struct {
		Token  int64  `json:"token"`
		Action string `json:"action"`
		Value  string `json:"value"`
		Sealed string `json:"sealed"`
	}
	if json.Unmarshal(was.Fence, &old) != nil || json.Unmarshal(is.Fence, &fence) != nil || fence == old || fence.Action == "" && fence.Sealed == "" {
		return "by hand"
	}
	if fence.Action == old.Action {
		return fmt.Sprintf("by signalbox to seal action %s (token %d)", fence.Sealed, fence.Token)
	}
	return fmt.Sprintf("by signalbox, action %s (token %d)", fence.Action, fence.Token)
}
