package etcd_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/etcd"
)

const roomAgain = "the store has room again"

// The member that raised the quota alarm is gone before it could lower it: the
// others do, and nobody says before that writes are taken again.
func TestAlarmOfAMemberThatIsGone(t *testing.T) {
	c := newTrio(t)
	raiser, others := c.nodes[2], c.nodes[:2]
	raiser.o.UpkeepEvery = time.Hour // it lowers nothing
	for _, n := range c.nodes {
		n.o.Quota = 8 << 20
		c.begin(n)
	}
	for _, n := range c.nodes {
		c.await(n)
	}
	id := raiser.Status().MemberID
	etcd.RaiseNoSpace(t, others[0].Store, id)
	if _, err := others[1].Commit(within(t), put("k", "v")); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("Commit under the alarm = %v, want ErrUnavailable", err)
	}
	for _, n := range others {
		eventually(t, "it says whose alarm is left", func() bool {
			return strings.Contains(n.Status().UpkeepError, fmt.Sprintf("the quota alarm of c (%x) is left", id))
		})
		if n.log.has(roomAgain) {
			t.Error("it says that there is room while the alarm is left")
		}
	}
	c.end(raiser)
	eventually(t, "a commit through the first", func() bool { _, err := others[0].Commit(within(t), put("k", "v")); return err == nil })
	mustPut(t, others[1], "l", "v")
	for _, n := range others {
		eventually(t, "the alarm is over", func() bool { s := n.Status(); return !s.NoSpace && s.UpkeepError == "" })
	}
	if !others[0].log.has(roomAgain) && !others[1].log.has(roomAgain) {
		t.Error("nobody says that there is room again")
	}
	c.begin(raiser) // which has heard of it in the log, and no more
	c.await(raiser)
	mustPut(t, raiser, "m", "v")
}

// A copy brings the alarm of a member that is of no cluster any more. It is
// shown, and lowered.
func TestAlarmInACopy(t *testing.T) {
	const stranger = 0xbad
	e := startUp(t, etcd.EmbeddedOptions{UpkeepEvery: time.Hour})
	mustPut(t, e, "before", "kept")
	etcd.RaiseNoSpace(t, e.Store, stranger)
	health, err := e.Health(within(t))
	if want := []store.Alarm{{ID: "bad", Alarm: "NOSPACE"}}; err != nil || !slices.Equal(health.Alarms, want) {
		t.Errorf("Health() = %+v, %v, want %+v", health, err, want)
	}
	file, dir := snapshot(t, e), testDir(t)
	if _, err := etcd.Restore(etcd.RestoreOptions{Dir: dir, File: file, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	log := &logged{}
	restored := startUp(t, etcd.EmbeddedOptions{Dir: dir, UpkeepEvery: 100 * time.Millisecond, Log: log.logger()})
	eventually(t, "a commit", func() bool { _, err := restored.Commit(within(t), put("after", "v")); return err == nil })
	wantValue(t, restored, "before", "kept")
	if health, err := restored.Health(within(t)); err != nil || len(health.Alarms) > 0 {
		t.Errorf("Health() = %+v, %v, want no alarm", health, err)
	}
	if !log.has("bad (no member)") {
		t.Errorf("the log does not say whose alarm was lowered:\n%s", log.tail())
	}
}

// The member that raised it led the cluster, so that the first tries of the others
// to make room have no quorum. They try again at once, and not after the pause
// that lies between two defragmentations.
func TestAlarmOfALeaderThatIsGone(t *testing.T) {
	c := newTrio(t)
	for _, n := range c.nodes {
		n.o.UpkeepEvery = time.Second
		c.begin(n)
	}
	for _, n := range c.nodes {
		c.await(n)
	}
	leader, others := c.leader()
	etcd.RaiseNoSpace(t, others[0].Store, leader.Status().MemberID)
	freeze(t, leader)
	for _, n := range others {
		eventually(t, "a commit", func() bool { _, err := n.Commit(within(t), put("k", "v")); return err == nil })
	}
}
