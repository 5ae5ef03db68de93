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

// The run-book "Redis outage", with the policy of the handbook: the main Redis
// dies, its exporter and its clients see it, and the clients go to the secondary,
// once. It is announced, with a channel for the incident, and backend is paged.
// The public is told once a person has approved it. The main one comes back: the
// clients stay where they are until a person says so.
func TestRunbookRedisOutage(t *testing.T) {
	t.Parallel()
	o := newRedisOutage(t)
	o.configure("auto", nil)
	o.start()
	o.watched()
	o.redis["main"].Kill()
	o.eventually("clients to go to the secondary", o.flipped("secondary"))
	o.eventually("the client to read again", o.client.well)
	t.Logf("the client could not read for %v, at looks of a second and a breach of two", o.client.longest().Round(10*time.Millisecond))
	o.eventually("the announcement", o.announced("redis/main", false))
	o.eventually("the page to backend", o.is(backendKey, "redis/main", "triggered"))
	if err := o.private(); err != nil {
		t.Errorf("before anybody approved: %v", err)
	}
	if err := o.approve("fe-lead", "statuspage status-database"); err == nil || !strings.Contains(err.Error(), "may not") {
		t.Errorf("the frontend's lead approves what is backend's: %v", err)
	}
	o.approved("be-lead", "statuspage status-database")
	o.eventually("the status page", o.posted("investigating", "degraded_performance"))
	o.steadily(4*time.Second, "the main one is away", o.flipped("secondary"))
	id := o.incidentOf("redis/main")

	o.redis["main"].Restart()
	o.eventually("the incident to wait for a person's word", o.waitsFor("undo_ask"))
	o.steadily(3*time.Second, "nobody said that they go back", o.flipped("secondary"))
	if out, code := o.operateAs("be-lead", "undo", "--reason", "the main one is warm", id); code != 0 {
		t.Fatalf("undo: exit code %d: %s", code, out)
	}
	o.eventually("clients to go back", o.flipped("secondary", "main"))
	o.eventually("the incident to end", o.allEnded)
	for what, check := range map[string]func() error{
		"the thread's end": o.announced("redis/main", true), "the page's end": o.is(backendKey, "redis/main", "resolved"),
		"the end on the status page": o.posted("resolved", "operational"),
	} {
		o.eventually(what, check)
	}
	o.steadily(2*time.Second, "nothing more is written", o.flipped("secondary", "main"))
	o.eventually("the client to read", o.client.well)
	if n := len(o.pager.Incidents()); n != 1 {
		t.Errorf("pages: got %d, want one for one cause", n)
	}
	o.explains(id, "redis to secondary", "recovered", "redis to main", "be-lead", "incident.closed")
}

// The secondary is down too: nothing is flipped, backend is paged with the reason,
// and paged that the promise to the public is at risk, since nobody approves.
func TestRunbookRedisOutageOfBoth(t *testing.T) {
	t.Parallel()
	o := newRedisOutage(t)
	o.configure("auto", func(e *handbookExcerpt, policy map[string]any) { e.step(policy, "statuspage")["promise"] = "1m" })
	o.start()
	o.watched()
	o.redis["secondary"].Kill()
	o.eventually("the page of the secondary", o.is(backendKey, "redis/secondary", "triggered"))
	o.steadily(3*time.Second, "nothing is done for the secondary", o.flipped())
	o.redis["main"].Kill()
	o.eventually("the page, with its reason", o.pageSays("redis/main", "redis-up on redis/secondary is breached"))
	o.eventually("the promise at risk", o.pageSays("redis/main", "status-database to investigating is promised within 1m"))
	o.steadily(4*time.Second, "there is nowhere to go", o.flipped())
	if err := o.private(); err != nil {
		t.Error(err)
	}
	if err := o.client.well(); err == nil {
		t.Error("the client reads, though both are down")
	}
}

// In shadow it is recorded and people are paged, and it causes nothing: no write
// to the cluster, no message, no channel, nothing on the status page.
func TestRunbookRedisOutageInShadow(t *testing.T) {
	t.Parallel()
	o := newRedisOutage(t)
	o.configure("shadow", nil)
	o.start()
	o.watched()
	o.redis["main"].Kill()
	o.eventually("the record of what would be done", o.wouldAct("redis-up", "redis-outage"))
	o.eventually("the page to backend", o.is(backendKey, "redis/main", "triggered"))
	o.steadily(5*time.Second, "nothing is caused", func() error {
		if err := o.silent(); err != nil {
			return err
		}
		return o.flipped()()
	})
	if err := o.client.well(); err == nil {
		t.Error("the client reads, though the main Redis is down and nothing was done")
	}
}

// The daemon is killed at some moment of it: clients still go to the secondary
// once and come back once, and one thread, one channel, one page and one incident
// on the status page tell of it.
func TestRunbookRedisOutageKilled(t *testing.T) {
	t.Parallel()
	o := newRedisOutage(t)
	o.configure("auto", nil)
	o.start()
	o.watched()
	seed := uint64(time.Now().UnixNano())
	draw := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a moment, no secret
	pause, before := time.Duration(draw.Int64N(int64(4*time.Second))), draw.IntN(2) == 0
	t.Logf("seed %d: killed %v after the incident was opened, approved before: %t", seed, pause, before)
	o.redis["main"].Kill()
	o.eventually("the incident", o.opened("redis-up"))
	for end := time.After(pause); end != nil; {
		select {
		case <-end:
			end = nil
		case <-time.After(100 * time.Millisecond):
			if before {
				o.approveAll("be-lead")
			}
		}
	}
	o.kill()
	o.start()
	o.eventually("clients to go to the secondary", o.flipped("secondary"))
	o.eventually("the client to read again", o.client.well)
	o.eventually("the announcement", o.announced("redis/main", false))
	o.eventually("the status page", func() error {
		o.approveAll("be-lead") // again, where the kill came before the approved post was sent
		return o.posted("investigating", "degraded_performance")()
	})
	o.eventually("the page to backend", o.is(backendKey, "redis/main", "triggered"))
	id := o.incidentOf("redis/main")
	o.redis["main"].Restart()
	o.eventually("the incident to wait for a person's word", o.waitsFor("undo_ask"))
	if out, code := o.operateAs("be-lead", "undo", "--reason", "the main one is warm", id); code != 0 {
		t.Fatalf("undo: exit code %d: %s", code, out)
	}
	o.eventually("the incident to end", o.allEnded)
	o.eventually("the thread's end", o.announced("redis/main", true))
	o.eventually("the end on the status page", o.posted("resolved", "operational"))
	o.steadily(2*time.Second, "each was done once", o.flipped("secondary", "main"))
	o.noneTwice()
}

// flipped wants the positions that the daemon wrote to REDIS_SECONDARY, oldest
// first, by the API server's own log.
func (o *redisOutage) flipped(positions ...string) func() error {
	return func() error {
		var want []string
		for _, p := range positions {
			want = append(want, o.address(p))
		}
		if got := o.effectsOf(redisKey, o.address("main")); !slices.Equal(got, want) {
			return fmt.Errorf("written to %s: %q, want %q", redisKey, got, want)
		}
		return nil
	}
}

func (o *redisOutage) address(name string) string {
	return fmt.Sprintf("127.0.0.1:%d", o.redis[name].Port)
}

// redisOutage is a production with a main Redis and a secondary one, which their
// exporters and a client tell of.
type redisOutage struct {
	*production
	*box
	*toldDesk
	redis  map[string]*servers.RedisServer
	client *redisClient
}

func (o *redisOutage) eventually(what string, check func() error) {
	o.box.t.Helper()
	o.box.eventually(what, check)
}
