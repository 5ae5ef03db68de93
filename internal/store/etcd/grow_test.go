package etcd_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/internal/store/etcd"
)

// A store of one node becomes the first member of a cluster, with all that it has
// and under its identity; others join, and leave again.
func TestGrowAndShrink(t *testing.T) {
	c := newTrio(t)
	first := c.nodes[0]
	alone := startUp(t, etcd.EmbeddedOptions{Dir: first.o.Dir})
	mustPut(t, alone, "before", "kept")
	id := alone.Status().MemberID
	if err := alone.Close(); err != nil {
		t.Fatal(err)
	}
	if e, err := etcd.Start(t.Context(), first.o); err == nil || !strings.Contains(err.Error(), "--cluster.initial-members=a=https://"+first.o.Cluster.Listen+" alone") {
		t.Fatalf("Start() with all members at once = %v, %v, want what to do first", e, err)
	}
	own := *first.o.Cluster
	own.Members = c.peers[:1]
	first.o.Cluster = &own
	c.begin(first)
	c.await(first)
	wantValue(t, first, "before", "kept")
	if s := first.Status(); s.MemberID != id || s.Forming {
		t.Errorf("Status() = %+v, want the member of before, %x", s, id)
	}
	if list := c.members(first); len(list.Members) != 1 || list.Members[0].Name != "a" || list.Members[0].Address != c.peers[0].Address {
		t.Fatalf("Members() = %+v, want a at %s", list, c.peers[0].Address)
	}
	for i, n := range c.nodes[1:] {
		eventually(t, "it is added", func() bool {
			_, err := first.AddMember(within(t), n.o.Cluster.Member, n.o.Cluster.Listen)
			return err == nil
		})
		joins := *n.o.Cluster
		joins.Join, joins.Members = true, c.peers[:i+2]
		n.o.Cluster = &joins
		c.begin(n)
		c.await(n)
		eventually(t, "it votes", func() bool { return len(voters(c.members(first))) == i+2 })
		if i == 0 {
			c.isTold(first)
			c.end(first) // whose flags say all members from now on
			own.Members = c.peers
			c.begin(first)
			c.await(first)
		}
	}
	eventually(t, "it sees all", func() bool { return first.Status().Members == 3 })
	if s, list := first.Status(), c.members(first); len(s.Unlisted) > 0 || len(list.Unlisted) > 0 {
		t.Errorf("with the whole list: Status() = %+v, Members() = %+v, want that nothing is lacking", s, list)
	}
	b := c.nodes[1] // which joined when c was no member yet
	eventually(t, "the second is told as well", func() bool { return slices.Equal(b.Status().Unlisted, []string{entry(c.peers[2])}) })
	c.beginsNothing(first)
	c.end(c.nodes[1])
	mustPut(t, c.nodes[2], "with", "two of three")
	wantValue(t, first, "with", "two of three")
	c.begin(c.nodes[1])
	c.await(c.nodes[1])

	for _, n := range []*node{c.nodes[2], c.nodes[1]} {
		eventually(t, "it is removed", func() bool { // not before the members have seen each other for 5 s
			_, err := first.RemoveMember(within(t), n.o.Cluster.Member)
			return err == nil
		})
		c.end(n)
	}
	eventually(t, "it is alone", func() bool { return slices.Equal(voters(c.members(first)), []string{"a"}) })
	mustPut(t, first, "alone", "again")
	wantValue(t, first, "before", "kept")
	c.end(first)
	c.begin(first)
	c.await(first)
	wantValue(t, first, "alone", "again")
}

// beginsNothing: the first member, with all in its flags, loses its disk while
// the others run, and knows from them that it ran before.
func (c *trio) beginsNothing(first *node) {
	c.t.Helper()
	c.end(first)
	aside := first.o.Dir + ".aside"
	if err := os.Rename(first.o.Dir, aside); err != nil {
		c.t.Fatal(err)
	}
	c.begin(first)
	eventually(c.t, "it is refused", func() bool { return strings.Contains(first.Status().LastExit, "has run before, and its data is gone") })
	if s := first.Status(); s.Starts > 0 {
		c.t.Errorf("it served: %+v", s)
	}
	c.end(first)
	wipe(c.t, first)
	if err := os.Rename(aside, first.o.Dir); err != nil {
		c.t.Fatal(err)
	}
	c.begin(first)
	c.await(first)
}

func entry(p etcd.Peer) string { return p.Name + "=https://" + p.Address }

// isTold: the first of two members, whose flags say that it is alone, is told
// before its disk is lost, and adds no third, with which two would be a quorum
// beside a store that it begins.
func (c *trio) isTold(first *node) {
	c.t.Helper()
	second, third := entry(c.peers[1]), c.peers[2]
	eventually(c.t, "it is told", func() bool { return slices.Equal(first.Status().Unlisted, []string{second}) })
	health, err := first.Health(within(c.t))
	if list := c.members(first); err != nil || !slices.Equal(list.Unlisted, []string{second}) || !slices.Equal(health.Unlisted, []string{second}) {
		c.t.Errorf("Members() = %+v, Health() = %+v, %v, want %s unlisted", list, health, err, second)
	}
	_, err = first.AddMember(within(c.t), third.Name, third.Address)
	if want := "--cluster.initial-members of a has a, and lacks " + second + ", which is a member: restart it with the whole list first"; !errors.Is(err, etcd.ErrMembers) || !strings.Contains(err.Error(), want) {
		c.t.Errorf("AddMember() = %v, want %q", err, want)
	}
	// Upkeep has looked often meanwhile.
	if told := first.log.count("--cluster.initial-members lacks members of the store's cluster", `lacks="`+second+`"`); told != 1 {
		c.t.Errorf("it was told %d times, want once", told)
	}
}
