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

// The run-book "database outage", with the policy of the handbook: a real primary
// with two standbys, whose exporters a real Prometheus scrapes, and a reader that
// follows DB_READONLY_ENDPOINT in a real API server. The standby that is read dies, as
// the probe and the exporter see: reads go to the other one, once. It is announced, with a
// channel for the incident, and backend is paged; the public would be told once a person
// had approved it, and is told nothing of what is over before. The standby comes
// back: so do the reads, once all has been well for a while, and all who were told
// are told that it is over.
func TestRunbookDatabaseOutage(t *testing.T) {
	t.Parallel()
	o := newOutage(t)
	o.configure("auto")
	o.start()
	o.watched()
	o.standby["replica-a"].Kill()
	o.eventually("reads to go to the other standby", o.flipped("replica-b"))
	o.eventually("the reader to read again", o.reader.well)
	t.Logf("the reader could not read for %v, at looks of a second and a breach of two", o.reader.longest().Round(10*time.Millisecond))
	o.eventually("the announcement", o.announced("db/eu", false))
	o.eventually("the page to backend", o.is(backendKey, "db/eu", "triggered"))
	id := o.incidentBy("db-uptime")

	o.standby["replica-a"].Restart()
	o.eventually("reads to come back", o.flipped("replica-b", "replica-a"))
	o.over()
	o.steadily(3*time.Second, "nothing more is written", o.flipped("replica-b", "replica-a"))
	o.eventually("the reader to read", o.reader.well)
	if failed := o.reader.failedAt(); len(failed) != 1 || failed[o.address("replica-a")] == 0 {
		t.Errorf("reads that failed, by endpoint: %v, want those of the standby that died alone", failed)
	}
	if n := len(o.pager.Incidents()); n != 1 {
		t.Errorf("pages: got %d, want one for one cause", n)
	}
	o.explains(id, "read-endpoint to replica-b", "recovered", "read-endpoint to replica-a", "incident.closed")
}

// The other standby is not well: nothing is flipped, backend is paged with the
// reason, and the public is told once a person has approved it. Once there is
// somewhere to go reads go there.
func TestRunbookDatabaseOutageOfBoth(t *testing.T) {
	t.Parallel()
	o := newOutage(t)
	o.configure("auto")
	o.start()
	o.watched()
	o.standby["replica-b"].Kill()
	o.eventually("its end to be seen", func() error { return o.count(`count(up{replica="replica-b"} unless pg_up)`, 1) })
	o.standby["replica-a"].Kill()
	o.eventually("the page, with its reason", o.pageSays("db/eu", "on replica/replica-b"))
	if err := o.private(); err != nil {
		t.Errorf("before anybody approved: %v", err)
	}
	if err := o.approve("fe-lead", "statuspage status-database"); err == nil || !strings.Contains(err.Error(), "may not") {
		t.Errorf("the frontend's lead approves what is backend's: %v", err)
	}
	o.approved("be-lead", "statuspage status-database")
	o.eventually("the status page", o.posted("investigating", "degraded_performance"))
	o.steadily(4*time.Second, "there is nowhere to go", o.flipped())
	if err := o.reader.well(); err == nil {
		t.Error("the reader reads, though both are down")
	}
	o.standby["replica-b"].Restart()
	o.eventually("reads to go to the standby that is back", o.flipped("replica-b"))
	o.standby["replica-a"].Restart()
	o.eventually("reads to come back", o.flipped("replica-b", "replica-a"))
	o.eventually("the incident to end", o.allEnded)
	o.eventually("the end on the status page", o.posted("resolved", "operational"))
}

// In shadow it is recorded and people are paged, and it causes nothing: no write
// to the cluster, no message, no channel, nothing on the status page.
func TestRunbookDatabaseOutageInShadow(t *testing.T) {
	t.Parallel()
	o := newOutage(t)
	o.configure("shadow")
	o.start()
	o.watched()
	o.standby["replica-a"].Kill()
	o.eventually("the record of what would be done", o.wouldAct("db-uptime", "database-outage"))
	o.eventually("the page to backend", o.is(backendKey, "db/eu", "triggered"))
	o.steadily(5*time.Second, "nothing is caused", func() error {
		if err := o.silent(); err != nil {
			return err
		}
		return o.flipped()()
	})
	if err := o.reader.well(); err == nil {
		t.Error("the reader reads, though its standby is down and nothing was done")
	}
}

// The daemon is killed at some moment of it: the endpoint is still written once and
// taken back once, and one thread, one channel and one page tell of it.
func TestRunbookDatabaseOutageKilled(t *testing.T) {
	t.Parallel()
	o := newOutage(t)
	o.configure("auto")
	o.start()
	o.watched()
	seed := uint64(time.Now().UnixNano())
	pause := time.Duration(rand.New(rand.NewPCG(seed, 0)).Int64N(int64(4 * time.Second))) //nolint:gosec // a moment, no secret
	t.Logf("seed %d: killed %v after the incident was opened", seed, pause)
	o.standby["replica-a"].Kill()
	o.eventually("the incident", o.opened("db-uptime")) // before, that it was well is not on record
	killed := time.NewTimer(pause)
	defer killed.Stop()
	<-killed.C
	o.kill()
	o.start()
	o.eventually("reads to go to the other standby", o.flipped("replica-b"))
	o.eventually("the announcement", o.announced("db/eu", false))
	o.eventually("the page to backend", o.is(backendKey, "db/eu", "triggered"))
	o.standby["replica-a"].Restart()
	o.eventually("reads to come back", o.flipped("replica-b", "replica-a"))
	o.over()
	o.steadily(3*time.Second, "nothing more is written", o.flipped("replica-b", "replica-a"))
	o.noneTwice()
}

// over wants that all ended, and that all who were told are told so.
func (o *outage) over() {
	o.box.t.Helper()
	o.eventually("the incident to end", o.allEnded)
	for what, check := range map[string]func() error{
		"the thread's end": o.announced("db/eu", true), "the page's end": o.is(backendKey, "db/eu", "resolved"),
	} {
		o.eventually(what, check)
	}
	if err := o.private(); err != nil {
		o.box.t.Errorf("nobody approved: %v", err)
	}
}

// flipped wants the positions that the daemon wrote to DB_READONLY_ENDPOINT,
// oldest first, by the API server's own log.
func (o *outage) flipped(positions ...string) func() error {
	return func() error {
		var want []string
		for _, p := range positions {
			want = append(want, o.address(p))
		}
		if got := o.effectsOf(endpointKey, o.address("replica-a")); !slices.Equal(got, want) {
			return fmt.Errorf("written to %s: %q, want %q", endpointKey, got, want)
		}
		return nil
	}
}

// outage is a production whose standbys are real.
type outage struct {
	*production
	*box
	*toldDesk
	standby map[string]*servers.PostgresServer
	reader  *endpointReader
}

func (o *outage) address(name string) string {
	return fmt.Sprintf("127.0.0.1:%d", o.standby[name].Port)
}

func (o *outage) eventually(what string, check func() error) {
	o.box.t.Helper()
	o.box.eventually(what, check)
}
