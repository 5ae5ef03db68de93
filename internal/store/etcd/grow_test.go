package etcd_test

import (
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
	}
	c.end(first) // whose flags say all members now
	own.Members = c.peers
	c.begin(first)
	c.await(first)
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
