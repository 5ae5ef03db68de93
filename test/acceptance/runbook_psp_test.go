package acceptance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers"
)

// The run-book "PSP webhook failures": events that failed stand in a retry queue
// (a real PostgreSQL, seen by its exporter) and in a real Loki. While the PSP's
// public status page says that it is degraded nothing is sent again. Once it is
// well, Payments is asked, and a Job sends each event again once, in batches and
// over two incidents, but for the one whose signature is wrong and the one that
// is in the queue no more.
func TestRunbookPSPWebhookFailures(t *testing.T) {
	t.Parallel()
	p := newPSP(t)
	p.psp.says("degraded_performance")
	p.configure(pspSettings{autonomy: "auto", most: 3})
	p.start()
	p.watched()
	p.eventually("the PSP to be ill", p.ill("psp/Webhooks"))

	first := pspIDs("evt_first", 6)
	p.queue.add(true, first...)
	p.queue.add(false, "evt_forged")
	p.fails("psp-webhooks", append(slices.Clone(first), "evt_forged", "evt_gone")...)
	p.eventually("its incident", p.ill("psp/psp-webhooks"))
	p.steadily(3*time.Second, "nothing is sent again to a degraded PSP, and nobody is asked", func() error {
		if n := len(p.approvals()); n > 0 || p.jobs() > 0 {
			return fmt.Errorf("%d approvals are asked for, %d jobs are there", n, p.jobs())
		}
		return p.psp.only()()
	})

	p.psp.says("operational")
	p.approving("each event to be sent again", p.psp.only(first...))
	p.approving("the last batch to be tried", func() error { return p.kubelet.once(append(slices.Clone(first), "evt_forged", "evt_gone")...) })
	p.eventually("Payments to be told of the event that was refused", p.told(paymentsKey, "ran and failed (which of evt_forged, evt_gone were done is not known, and none is taken again)"))

	// Of another stream: what was sent again is named again there, and is not sent twice.
	second := pspIDs("evt_second", 6)
	p.queue.add(true, second...)
	p.fails("psp-refunds", append(slices.Clone(first[:3]), second...)...)
	p.approving("each event of the other incident to be sent again", p.psp.only(append(slices.Clone(first), second...)...))
	p.steadily(3*time.Second, "nothing is sent twice", func() error {
		if err := p.kubelet.once(second...); err != nil {
			return err
		}
		return p.psp.only(append(slices.Clone(first), second...)...)()
	})
	if err := p.queue.holds(1)(); err != nil { // the forged one, for a person
		t.Error(err)
	}
}

// While the PSP is degraded payouts are throttled, with an expiry; Payments is
// paged, Support is told until when and what Payments says of it, and once the
// PSP is well the limit goes up again in steps.
func TestRunbookPSPDegraded(t *testing.T) {
	t.Parallel()
	p := newPSP(t)
	p.configure(pspSettings{autonomy: "auto", most: 3})
	p.start()
	p.watched()
	p.seenWell()
	p.psp.says("degraded_performance")
	p.eventually("payouts to be throttled", p.limit.wrote("10/min"))
	p.eventually("Payments to be paged with until when", p.told(paymentsKey, "Limited: payouts to low, was full, until "))
	p.eventually("Support to be told until when", p.told(supportKey, "payouts to low, until "))
	if err := p.told(supportKey, "ETA unknown")(); err != nil {
		t.Error(err)
	}
	p.must("eta", string(p.incident("psp/Payouts").ID), "20m")
	p.eventually("Support to be told what Payments says", p.told(supportKey, ", says payments-lead"))
	p.steadily(3*time.Second, "the limit stays while the PSP is degraded", p.limit.wrote("10/min"))
	if got := p.limit.Exec("GET", pspLimitKey); got != "10/min" {
		t.Errorf("the limit is %q", got)
	}
	p.psp.says("operational")
	p.eventually("the limit to go up in steps", p.limit.wrote("10/min", "50/min", "100/min"))
	p.eventually("the incident to end", func() error {
		if inc := p.incident("psp/Payouts"); inc != nil {
			return fmt.Errorf("it is open: %s %v", inc.Verdict, inc.Because)
		}
		return nil
	})
	p.steadily(3*time.Second, "nothing more is written", p.limit.wrote("10/min", "50/min", "100/min"))
	for _, key := range []string{paymentsKey, supportKey} {
		for _, inc := range p.pager.Incidents() {
			if inc.RoutingKey == key && inc.Status != "resolved" {
				t.Errorf("a page by %s… is %s", key[:4], inc.Status)
			}
		}
	}
}

// In shadow both are explained, and cause nothing.
func TestRunbookPSPInShadow(t *testing.T) {
	t.Parallel()
	p := newPSP(t)
	p.configure(pspSettings{autonomy: "shadow", most: 100})
	p.start()
	p.watched()
	p.seenWell()
	ids := pspIDs("evt_shadow", 6)
	p.queue.add(true, ids...)
	p.fails("psp-webhooks", ids...)
	p.eventually("the record of what would be sent again", p.explains("psp/psp-webhooks", "policy replay only watches; it would say act"))
	p.psp.says("degraded_performance")
	p.eventually("the record of what would be throttled", p.explains("psp/Payouts", "policy psp-degraded only watches; it would say act"))
	p.eventually("Payments to be paged", p.told(paymentsKey, "psp/Payouts"))
	p.steadily(5*time.Second, "nothing is sent again and nothing throttled", func() error {
		if n := p.jobs(); n > 0 {
			return fmt.Errorf("%d jobs are there", n)
		}
		if err := p.limit.wrote()(); err != nil {
			return err
		}
		return p.psp.only()()
	})
	if err := p.queue.holds(6)(); err != nil {
		t.Error(err)
	}
	for _, e := range p.cluster.Audit(servers.Daemon) {
		if !slices.Contains([]string{"get", "list", "watch"}, e.Verb) && e.ObjectRef.Resource != "selfsubjectaccessreviews" {
			t.Errorf("the daemon wrote: %s %s", e.Verb, e.URI)
		}
	}
}

// The daemon is killed at some moments of all of it: each event is sent again
// once, and the limit is lowered once and goes up through each step once.
func TestRunbookPSPKilled(t *testing.T) {
	t.Parallel()
	p := newPSP(t)
	p.configure(pspSettings{autonomy: "auto", most: 2})
	p.start()
	p.watched()
	p.seenWell()
	seed := uint64(time.Now().UnixNano())
	draw := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // moments, no secret
	t.Logf("seed %d", seed)
	kill := func(within time.Duration) {
		pause := time.NewTimer(time.Duration(draw.Int64N(int64(within))))
		<-pause.C
		p.kill()
		p.launch()
		p.ready()
	}

	ids := pspIDs("evt_killed", 8)
	p.queue.add(true, ids...)
	p.fails("psp-webhooks", ids...)
	p.approving("the first batch", func() error {
		if p.jobs() == 0 {
			return fmt.Errorf("there is none")
		}
		return nil
	})
	for range 2 {
		kill(2 * time.Second)
		p.approveOnce()
	}
	p.approving("each event to be sent again", p.psp.only(ids...))

	p.psp.says("degraded_performance")
	p.eventually("the PSP to be ill", p.ill("psp/Payouts"))
	kill(2 * time.Second)
	p.eventually("payouts to be throttled", p.limit.wrote("10/min"))
	p.eventually("Payments to be paged with until when", p.told(paymentsKey, "Limited: payouts to low, was full, until "))
	p.psp.says("operational")
	p.eventually("the limit to go up", func() error {
		if err := p.limit.wrote("10/min"); err() == nil {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	kill(2 * time.Second)
	p.eventually("the limit to be as it was", p.limit.wrote("10/min", "50/min", "100/min"))
	p.steadily(3*time.Second, "nothing is done twice", func() error {
		if err := p.kubelet.once(ids...); err != nil {
			return err
		}
		if err := p.psp.only(ids...)(); err != nil {
			return err
		}
		return p.limit.wrote("10/min", "50/min", "100/min")()
	})
	if err := p.queue.holds(0)(); err != nil {
		t.Error(err)
	}
	p.noneTwice()
	toldOnce(t, p.chat)
}

// 5,000 events fail where 100 may be sent again in an hour: 100 are, the others
// wait in their queue, and the page says how many are not listed.
func TestRunbookPSPTooManyEvents(t *testing.T) {
	t.Parallel()
	p := newPSP(t)
	p.configure(pspSettings{autonomy: "auto", most: 100, pace: "100/hour"})
	p.start()
	p.watched()
	p.seenWell()
	ids := pspIDs("evt_many", 5000)
	p.queue.add(true, ids...)
	p.fails("psp-webhooks", ids...)
	p.approving("as many as are allowed to be sent again", p.psp.only(ids[:100]...))
	p.eventually("Payments to be told how many there are", p.told(paymentsKey, "5000 different ids within 1m, above 5; 4500 more are not listed"))
	p.eventually("Payments to be told of the backlog", p.told(paymentsKey, "queue/psp-retries"))
	p.eventually("the rest to wait for its pace", func() error {
		inc := p.incident("psp/psp-webhooks")
		if inc == nil {
			return fmt.Errorf("its incident is over, with %d events in the queue", 4900)
		}
		for _, r := range inc.Because {
			if r.Guard == "items" && strings.Contains(r.Detail, "items/replay-webhooks: 100 of 100 in 1h are spent, so many are free at ") {
				return nil
			}
		}
		return fmt.Errorf("%s %+v", inc.Verdict, inc.Because)
	})
	p.steadily(3*time.Second, "nothing more is sent, and nothing lost", func() error {
		if err := p.psp.only(ids[:100]...)(); err != nil {
			return err
		}
		return p.queue.holds(4900)()
	})
}

// An id that is none of the PSP's: the step is refused as a whole, as it is
// documented, and said with the id; nothing is sent, and nothing lost: the
// incident stays open, and the events in their queue.
func TestRunbookPSPOddID(t *testing.T) {
	t.Parallel()
	p := newPSP(t)
	p.configure(pspSettings{autonomy: "auto", most: 100})
	p.start()
	p.watched()
	p.seenWell()
	ids := pspIDs("evt_plain", 6)
	p.queue.add(true, ids...)
	p.fails("psp-webhooks", append(slices.Clone(ids), "--all-events")...)
	p.fails("psp-webhooks", "adm-all-events")
	p.eventually("Payments to be told which id it is", p.told(paymentsKey, `id \"adm-all-events\" does not match item_pattern`))
	p.steadily(3*time.Second, "nothing is sent", func() error {
		if n := p.jobs(); n > 0 {
			return fmt.Errorf("%d jobs are there", n)
		}
		if p.incident("psp/psp-webhooks") == nil {
			return fmt.Errorf("its incident is over")
		}
		if err := p.queue.holds(6)(); err != nil {
			return err
		}
		return p.psp.only()()
	})
}
