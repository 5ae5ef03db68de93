package acceptance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// The run-book "CDN outage", with the policy of the handbook, which waits for an
// approval before each step: a POP answers with errors, as the dashboard CDN
// Health shows. What belongs to the POP is purged. It does not help, so traffic
// goes to the other provider by Terraform, whose run is followed to its end. The
// public is told, and told when it is over.
func TestRunbookCDNOutage(t *testing.T) {
	t.Parallel()
	o := newCDNOutage(t)
	o.configure("approve")
	o.start()
	o.seen()
	o.pop.sick("fra", true)
	o.eventually("the announcement", o.announced("cdn/fra", false))
	o.approved("fe-lead", "statuspage status-cdn")
	o.eventually("the status page", o.posted("investigating", "degraded_performance"))
	o.steadily(2*time.Second, "nobody approved a purge", o.untouched)
	o.approved("fe-lead", "cdn pop")
	o.eventually("the purge of what belongs to the POP", o.purged(1))
	o.eventually("it to be seen that this does not help", o.asked("cdn-provider to cloudflare"))
	if err := o.unmoved(); err != nil {
		t.Errorf("nobody approved to go to the other provider: %v", err)
	}
	o.approved("fe-lead", "cdn-provider to cloudflare")
	o.eventually("a run", o.run("pending"))
	o.cloud.Move("planned", cdnPlan("module.edge.cloudflare_dns_record.cdn_main"), [4]int{0, 1, 0, 0})
	o.eventually("its plan to be checked and applied", o.run("confirmed"))
	o.steadily(3*time.Second, "the run goes on, and so does the action", func() error {
		if n := len(o.status().Thrown); n > 0 {
			return fmt.Errorf("%d targets are thrown before the run has ended", n)
		}
		return nil
	})
	o.cloud.Move("applied", "", [4]int{0, 1, 0, 0})
	o.eventually("users to get their pages again", o.pop.well("fra"))
	o.eventually("the incident to wait for a person's word", o.waitsFor("undo_ask"))
	id := o.incidentOf("cdn/fra")
	o.eventually("the page to frontend", o.is(frontendKey, "cdn/fra", "triggered"))

	o.pop.sick("fra", false)
	if out, code := o.operateAs("fe-lead", "undo", "--reason", "the POP is well", id); code != 0 {
		t.Fatalf("undo: exit code %d: %s", code, out)
	}
	o.eventually("a run back", o.run("pending"))
	o.cloud.Move("planned", cdnPlan("module.edge.cloudflare_dns_record.cdn_main"), [4]int{0, 1, 0, 0})
	o.eventually("its plan to be applied", o.run("confirmed"))
	o.cloud.Move("applied", "", [4]int{0, 1, 0, 0})
	o.eventually("the incident to end", o.allEnded)
	o.eventually("the end on the status page", o.posted("resolved", "operational"))
	o.eventually("the thread's end", o.announced("cdn/fra", true))
	o.eventually("the page's end", o.is(frontendKey, "cdn/fra", "resolved"))
	if got := o.cloud.State().Applied; !slices.Equal(got, []string{"cloudflare", "fastly"}) {
		t.Errorf("applied: %q", got)
	}
	if err := o.purged(1)(); err != nil {
		t.Error(err)
	}
	o.explains(id, "not_recovered", "cdn-provider to cloudflare", "recovered", "fe-lead", "incident.closed")
}

// A plan that touches more than the variable's own resources is discarded, and
// frontend is paged with what it would have touched.
func TestRunbookCDNOutageWhosePlanTouchesMore(t *testing.T) {
	t.Parallel()
	o := newCDNOutage(t)
	o.configure("approve")
	o.start()
	o.seen()
	o.pop.sick("fra", true)
	o.approved("fe-lead", "cdn pop")
	o.approved("fe-lead", "cdn-provider to cloudflare")
	o.eventually("a run", o.run("pending"))
	o.cloud.Move("planned", cdnPlan("module.edge.cloudflare_dns_record.cdn_main", "module.database.aws_db_instance.main"), [4]int{0, 2, 0, 0})
	o.eventually("the run to be discarded", o.run("discarded"))
	o.eventually("the page, with what it would have touched", o.pageSays("cdn/fra", "module.database.aws_db_instance.main"))
	o.steadily(3*time.Second, "nothing is applied", func() error {
		if s := o.cloud.State(); len(s.Applied) > 0 || len(s.Runs) != 1 {
			return fmt.Errorf("applied %q by %d runs", s.Applied, len(s.Runs))
		}
		return nil
	})
}

// In shadow it is recorded and people are paged, and it causes nothing: no
// purge, no change at Terraform, no message, nothing on the status page.
func TestRunbookCDNOutageInShadow(t *testing.T) {
	t.Parallel()
	o := newCDNOutage(t)
	o.configure("shadow")
	o.start()
	o.seen()
	o.pop.sick("fra", true)
	o.eventually("the record of what would be done", o.wouldAct("pop-errors", "cdn-outage"))
	o.eventually("the page to frontend", o.is(frontendKey, "cdn/fra", "triggered"))
	o.steadily(5*time.Second, "nothing is caused", func() error {
		if err := o.silent(); err != nil {
			return err
		}
		return o.untouched()
	})
}

// The daemon is killed at some moment of it, while a person approves what is
// asked: the variable is set once, by one run, and the public is told once. A
// purge may be repeated: the second has the effect of the first.
func TestRunbookCDNOutageKilled(t *testing.T) {
	t.Parallel()
	o := newCDNOutage(t)
	o.configure("approve")
	o.start()
	o.seen()
	seed := uint64(time.Now().UnixNano())
	pause := time.Duration(rand.New(rand.NewPCG(seed, 0)).Int64N(int64(16 * time.Second))) //nolint:gosec // a moment, no secret
	t.Logf("seed %d: killed %v after the incident was opened", seed, pause)
	o.pop.sick("fra", true)
	o.eventually("the incident", o.opened("pop-errors"))
	o.runs(t)
	for end := time.After(pause); end != nil; {
		select {
		case <-end:
			end = nil
		case <-time.After(200 * time.Millisecond):
			o.approveAll("fe-lead")
		}
	}
	o.kill()
	o.start()
	o.eventually("traffic to go to the other provider", func() error {
		o.approveAll("fe-lead")
		return o.pop.well("fra")()
	})
	o.eventually("the incident to wait for a person's word", o.waitsFor("undo_ask"))
	o.eventually("the announcement", o.announced("cdn/fra", false))
	o.eventually("the status page", func() error {
		o.approveAll("fe-lead")
		return o.posted("investigating", "degraded_performance")()
	})
	o.steadily(2*time.Second, "each was done once", func() error {
		set := 0
		for _, w := range o.cloud.Writes() {
			if w == cdnSetVariable {
				set++
			}
		}
		if s := o.cloud.State(); set != 1 || len(s.Runs) != 1 || !slices.Equal(s.Applied, []string{"cloudflare"}) {
			return fmt.Errorf("the variable was set %d times, %d runs applied %q", set, len(s.Runs), s.Applied)
		}
		return o.purged(2)()
	})
	o.noneTwice()
}

// purged wants that what belongs to the POP was purged, softly, and nothing else:
// at least once, and not more often than most.
func (o *cdnOutage) purged(most int) func() error {
	return func() error {
		got := o.edge.Purges()
		for _, p := range got {
			if p.What != "keys" || !slices.Equal(p.Items, []string{"pop-fra"}) || !p.Soft {
				return fmt.Errorf("purged: %+v, want the key pop-fra, softly", p)
			}
		}
		if len(got) == 0 || len(got) > most {
			return fmt.Errorf("purges: %+v, want 1 to %d", got, most)
		}
		return nil
	}
}

// untouched wants that neither provider was asked to change anything.
func (o *cdnOutage) untouched() error {
	if n := o.edge.Requests(); n > 0 || len(o.edge.Purges()) > 0 {
		return fmt.Errorf("%d requests to purge: %+v", n, o.edge.Purges())
	}
	return o.unmoved()
}

func (o *cdnOutage) unmoved() error {
	if w := o.cloud.Writes(); len(w) > 0 {
		return fmt.Errorf("writes to Terraform: %q", w)
	}
	return nil
}

// run wants the newest run to be in a state.
func (o *cdnOutage) run(status string) func() error {
	return func() error {
		runs := o.cloud.State().Runs
		if len(runs) == 0 || runs[0].Status != status {
			return fmt.Errorf("runs: %+v, want the newest to be %s", runs, status)
		}
		return nil
	}
}
