package etcd_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/etcd"
	"github.com/signalbox/signalbox/internal/store/storetest"
	"github.com/signalbox/signalbox/test/certs"
)

// What one store promises, a cluster of three does, through whichever member.
func TestClusterConformance(t *testing.T) {
	c := startTrio(t)
	i := 0
	storetest.Run(t, func(t *testing.T) store.Store {
		etcd.Clear(t, c.nodes[i%3].Store)
		i++
		return expirer{mustDial(t, etcd.Options{
			Endpoints: []string{"unix://" + filepath.Join(c.nodes[i%3].o.Dir, "member.sock")}, TTL: 2 * time.Second,
		}), t}
	})
}

// A first start takes all members, in any order. Those that are there wait, say
// for whom, and let calls fail at once; that they never were up is told, since it
// is no outage. Later a majority is enough.
func TestFirstStartTakesAll(t *testing.T) {
	c := newTrio(t)
	last := c.nodes[2]
	c.begin(last)
	waits := func(n *node, whom string) {
		t.Helper()
		eventually(t, "it says whom it waits for", func() bool {
			return n.Status().Waits == "all members of the cluster test (a, b, c), which its first start takes: "+whom
		})
	}
	waits(last, "a does not answer; b does not answer")
	if s := last.Status(); s.Up || !s.Forming || s.Exits != 0 {
		t.Errorf("Status() of a member alone = %+v, want it not up, forming, without an exit", s)
	}
	if _, err := last.Commit(t.Context(), put("k", "v")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Commit on a member alone = %v, want ErrUnavailable", err)
	}
	list := c.members(last)
	if list.Quorum || len(list.Members) != 3 || !strings.Contains(list.Members[2].Health, "waits for all members") ||
		!strings.Contains(list.Members[0].Health, "does not answer") {
		t.Errorf("Members() of a member alone = %+v", list)
	}
	if ports := listening(t, last.Status().PID); !slices.Equal(ports, []string{c.peers[2].Address}) {
		t.Errorf("the member listens on %v, want %s alone", ports, c.peers[2].Address)
	}
	c.begin(c.nodes[1])
	waits(last, "a does not answer")
	waits(c.nodes[1], "a does not answer")
	c.begin(c.nodes[0])
	for _, n := range c.nodes {
		c.await(n)
	}
	mustPut(t, c.nodes[1], "k", "v")
	wantValue(t, last, "k", "v")
	if s := last.Status(); s.Forming || s.Waits != "" || s.ClusterID == 0 || s.ClusterID != c.nodes[1].Status().ClusterID {
		t.Errorf("Status() = %+v, want it formed, in one cluster", s)
	}
	for _, n := range c.nodes {
		c.end(n)
	}
	c.begin(last)
	eventually(t, "it says what it waits for", func() bool { return last.Status().Waits == "a quorum of the cluster test (a, b, c)" })
	if last.Status().Forming {
		t.Error("a member that was up before says that its cluster is at its first start")
	}
	c.begin(c.nodes[0])
	c.await(c.nodes[0])
	wantValue(t, c.nodes[0], "k", "v")
}

// Two that lost their disks, while the third is off, begin nothing: they can't
// know that they ran before, and wait for who does. Two that would begin another
// cluster wait as well, and say so.
func TestMajorityWithoutDataBeginsNothing(t *testing.T) {
	c := startTrio(t)
	mustPut(t, c.nodes[0], "before", "kept")
	for _, n := range c.nodes {
		c.end(n)
	}
	kept, gone := c.nodes[0], c.nodes[1:]
	for _, n := range gone {
		wipe(t, n)
		c.begin(n)
	}
	for _, n := range gone {
		eventually(t, "it waits for the third alone", func() bool { return strings.HasSuffix(n.Status().Waits, "takes: a does not answer") })
	}
	c.begin(kept)
	for _, n := range gone {
		eventually(t, "it is refused", func() bool { return strings.Contains(n.Status().LastExit, "has run before, and its data is gone") })
		if s := n.Status(); s.Starts != 0 || s.Up {
			t.Errorf("it served: %+v", s)
		}
		c.end(n)
	}
	if kept.Status().Up {
		t.Error("one of three serves")
	}
	c.end(kept)
	if err := os.RemoveAll(filepath.Join(kept.o.Dir, "etcd")); err != nil {
		t.Fatal(err)
	}
	c.begin(kept) // which knows by itself that it ran
	eventually(t, "it is refused without being told by a peer", func() bool { return strings.Contains(kept.Status().LastExit, "has run before") })
	other := *gone[0].o.Cluster
	other.Name, gone[0].o.Cluster = "other", &other
	wipe(t, gone[0])
	c.begin(gone[0])
	c.begin(gone[1])
	eventually(t, "they say that they differ", func() bool {
		return strings.Contains(gone[1].Status().Waits, "b would begin another cluster, other of ")
	})
	joins := *gone[0].o.Cluster
	joins.Join = true
	c.end(gone[0])
	gone[0].o.Cluster = &joins
	wipe(t, gone[0])
	c.end(gone[1])
	c.begin(gone[0])
	eventually(t, "nobody answers who is to join", func() bool { return strings.Contains(gone[0].Status().LastExit, "says who the members are") })
}

// writers commits, through the given members, keys that did not exist, until
// stop, and remembers each that was acknowledged, and when.
type writers struct {
	mu     sync.Mutex
	acked  map[string]bool
	at     []time.Time
	failed int
	done   sync.WaitGroup
	cancel context.CancelFunc
}

func write(t testing.TB, through ...*node) *writers {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	w := &writers{acked: map[string]bool{}, cancel: cancel}
	t.Cleanup(w.stop)
	for i := range 8 {
		n := through[i%len(through)]
		w.done.Go(func() {
			for j := 0; ctx.Err() == nil; j++ {
				key := fmt.Sprintf("load/%d/%06d", i, j)
				_, err := n.Commit(ctx, store.Txn{Ifs: []store.Cond{{Key: key}}, Puts: []store.Put{{Key: key, Value: []byte(key)}}})
				w.count(key, err)
			}
		})
	}
	return w
}

func (w *writers) count(key string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.failed++
		return
	}
	w.acked[key] = true
	w.at = append(w.at, time.Now())
}

func (w *writers) stop() { w.cancel(); w.done.Wait() }

func (w *writers) acks() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.at)
}

// gap is the longest time without an acknowledgement.
func (w *writers) gap() (longest time.Duration) {
	for i := 1; i < len(w.at); i++ {
		longest = max(longest, w.at[i].Sub(w.at[i-1]))
	}
	return longest
}

// wantAll asserts that a member has every commit that was acknowledged.
func (w *writers) wantAll(t *testing.T, n *node) {
	t.Helper()
	w.wantAllIn(t, n.o.Cluster.Member, n)
}

func (w *writers) wantAllIn(t *testing.T, member string, s store.Store) {
	t.Helper()
	kvs, _, err := s.List(within(t), "load/")
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, kv := range kvs {
		has[kv.Key] = string(kv.Value) == kv.Key
	}
	lost := 0
	for key := range w.acked {
		if !has[key] {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("member %s has lost %d of %d acknowledged commits", member, lost, len(w.acked))
	}
}

// The leader is killed under load, as kill -9 does: what was acknowledged is
// there, on all members, and the others go on by themselves.
func TestLeaderKilledUnderLoad(t *testing.T) {
	c := startTrio(t)
	leader, others := c.leader()
	w := write(t, others...)
	eventually(t, "load", func() bool { return w.acks() > 200 })
	kill(t, leader.Status().PID)
	killed := w.acks()
	eventually(t, "the others go on", func() bool { return w.acks() > killed+200 })
	c.await(leader)
	eventually(t, "the killed member is back", func() bool { return leader.Status().Starts == 2 && leader.Up() })
	w.stop()
	for _, n := range c.nodes {
		w.wantAll(t, n)
	}
	t.Logf("%d commits acknowledged, %d failed, the longest time without one: %v", len(w.acked), w.failed, w.gap())
}

// The leader of the cluster stands still, and the process that leads through it
// with it cut off: it loses its authority before another has it, no commit of
// it is acknowledged, and when it goes on it sees what the others did.
func TestLeaderStandsStill(t *testing.T) {
	c := startTrio(t)
	still, others := c.leader()
	held, err := still.Lead(within(t), "engine")
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(held.Deadline()); left > etcd.ClusterTTL*2/3 {
		t.Errorf("%v are left of a new lease, want at most two thirds of a cluster's default", left)
	}
	fence := held.Fence()
	thaw := freeze(t, still)
	taken, err := others[0].Lead(within(t), "engine")
	if err != nil {
		t.Fatal(err)
	}
	if held.Context().Err() == nil || time.Now().Before(held.Deadline()) {
		t.Errorf("two lead at once: the first until %v, %v", held.Deadline(), context.Cause(held.Context()))
	}
	mustPut(t, others[1], "after", "of the others")
	fenced := store.Txn{Ifs: []store.Cond{fence}, Puts: []store.Put{{Key: "late", Value: []byte("of the old leader")}}}
	if _, err := still.Commit(t.Context(), fenced); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Commit through a member that stands still = %v, want ErrUnavailable", err)
	}
	thaw()
	eventually(t, "it sees what the others did", func() bool {
		kv, ok, err := still.Get(t.Context(), "after")
		return err == nil && ok && string(kv.Value) == "of the others"
	})
	if _, err := still.Commit(within(t), fenced); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a Txn under the old fence = %v, want ErrConflict", err)
	}
	if _, ok, err := still.Get(within(t), "late"); ok || err != nil {
		t.Errorf("a late write under the old fence was done: %t, %v", ok, err)
	}
	if taken.Context().Err() != nil {
		t.Errorf("the new leadership ended: %v", context.Cause(taken.Context()))
	}
}

// Without a quorum nothing is acknowledged, the survivor says why, and when
// another is back all goes on.
func TestQuorumLostAndBack(t *testing.T) {
	c := startTrio(t)
	mustPut(t, c.nodes[0], "before", "kept")
	c.end(c.nodes[1])
	c.end(c.nodes[2])
	alone := c.nodes[0]
	if _, err := alone.Commit(t.Context(), put("false", "acknowledged")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Commit without a quorum = %v, want ErrUnavailable", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if kv, _, err := alone.Get(ctx, "before"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Get without a quorum = %q, %v, want ErrUnavailable: it may be old", kv.Value, err)
	}
	eventually(t, "it sees no leader", func() bool { return alone.Status().Leader == 0 })
	list := c.members(alone)
	if list.Quorum || !slices.Equal(voters(list), []string{"a"}) {
		t.Errorf("Members() = %+v, want no quorum, and only a well", list)
	}
	if _, err := alone.RemoveMember(t.Context(), "c"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("RemoveMember without a quorum = %v, want ErrUnavailable", err)
	}
	c.begin(c.nodes[2])
	c.await(c.nodes[2])
	mustPut(t, alone, "after", "it is back")
	wantValue(t, c.nodes[2], "before", "kept")
	wantValue(t, c.nodes[2], "after", "it is back")
	if s := alone.Status(); s.Exits != 0 {
		t.Errorf("the survivor was started anew: %+v", s)
	}
}

// A member that leads the cluster hands that over before it ends, and commits
// go on through the others.
func TestHandOver(t *testing.T) {
	c := startTrio(t)
	leader, others := c.leader()
	if err := others[0].HandOver(within(t)); err != nil {
		t.Errorf("HandOver of one that does not lead = %v", err)
	}
	if again, _ := c.leader(); again != leader {
		t.Error("a member that does not lead has handed the lead over")
	}
	w := write(t, others...)
	eventually(t, "load", func() bool { return w.acks() > 100 })
	if err := leader.HandOver(within(t)); err != nil {
		t.Fatal(err)
	}
	if next, _ := c.leader(); next == leader {
		t.Error("it still leads")
	}
	c.end(leader)
	ended := w.acks()
	eventually(t, "the others go on", func() bool { return w.acks() > ended+100 })
	w.stop()
	for _, n := range others {
		w.wantAll(t, n)
	}
	t.Logf("%d commits acknowledged, %d failed, the longest time without one: %v", len(w.acked), w.failed, w.gap())
}

// A certificate that is renewed is shown at the next handshake.
func TestCertificateIsReadAgain(t *testing.T) {
	c := startTrio(t)
	shown := func() string {
		own, err := tls.LoadX509KeyPair(c.nodes[1].o.Cluster.CertFile, c.nodes[1].o.Cluster.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := tls.Dial("tcp", c.peers[0].Address, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{own}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := shown()
	c.ca.Issue("a", certs.Leaf{Hosts: []string{"127.0.0.1", domain}})
	if after := shown(); after == before {
		t.Error("the old certificate is shown after it was renewed")
	}
	c.end(c.nodes[2])
	c.begin(c.nodes[2])
	c.await(c.nodes[2])
	eventually(t, "all answer", func() bool { return len(voters(c.members(c.nodes[0]))) == 3 })
}
