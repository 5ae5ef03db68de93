package etcd_test

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/etcd"
	"github.com/signalbox/signalbox/test/certs"
)

// A member whose disk is gone is replaced under its name. Until it is removed
// it does not come back: it would have forgotten what it voted for.
func TestReplace(t *testing.T) {
	c := startTrio(t)
	mustPut(t, c.nodes[0], "before", "kept")
	gone := c.nodes[2]
	id := gone.Status().MemberID
	c.end(gone)
	wipe(t, gone)
	for _, join := range []bool{false, true} {
		own := *gone.o.Cluster
		own.Join = join
		gone.o.Cluster = &own
		c.begin(gone)
		eventually(t, "it is refused", func() bool { return gone.Status().Exits > 0 })
		last := gone.Status().LastExit
		if !strings.Contains(last, "ran before") && !strings.Contains(last, "has run before") || !strings.Contains(last, "signalboxctl store members remove") {
			t.Errorf("join %t: LastExit = %q, want it to say that the data is gone, and what to do", join, last)
		}
		c.end(gone)
	}
	address := gone.o.Cluster.Listen
	if err := c.nodes[0].CheckAdd(within(t), "c", address); !errors.Is(err, etcd.ErrMembers) || !strings.Contains(err.Error(), "remove it first") {
		t.Errorf("add of one that is a member = %v", err)
	}
	if _, err := c.nodes[0].RemoveMember(within(t), "c"); err != nil {
		t.Fatal(err)
	}
	c.begin(gone)
	eventually(t, "it is refused", func() bool {
		return strings.Contains(gone.Status().LastExit, "was added to the cluster: signalboxctl store members add c")
	})
	var added store.Member
	var err error
	eventually(t, "it is added", func() bool { // not before the members have seen each other for 5 s
		added, err = c.nodes[0].AddMember(within(t), "c", address)
		return err == nil || !strings.Contains(err.Error(), "unhealthy")
	})
	if err != nil || !added.Learner || added.Name != "c" {
		t.Fatalf("AddMember() = %+v, %v, want a learner", added, err)
	}
	c.await(gone)
	wantValue(t, gone, "before", "kept")
	eventually(t, "it to have another id, and a vote", func() bool { // it serves as a learner first
		s := gone.Status()
		return s.MemberID != id && !s.Learner
	})
	eventually(t, "all three vote", func() bool { return slices.Equal(voters(c.members(c.nodes[0])), []string{"a", "b", "c"}) })
	c.end(c.nodes[1]) // a quorum needs the new one
	mustPut(t, c.nodes[0], "after", "with the new one")
	wantValue(t, gone, "after", "with the new one")
}

func TestChangesThatAreRefused(t *testing.T) {
	c := startTrio(t)
	n := c.nodes[0]
	own := *newTrio(t).nodes[0].o.Cluster // of one, which allows the hosts of its members
	own.Members, own.AllowedHostnames = own.Members[:1], nil
	one := startUp(t, etcd.EmbeddedOptions{Cluster: &own})
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"a bad name":       {n.CheckAdd(within(t), "d/e", freeAddress(t)), `a name must be letters`},
		"a bad address":    {n.CheckAdd(within(t), "d", "127.0.0.1"), "https://host:port"},
		"a strange host":   {one.CheckAdd(within(t), "d", "elsewhere.example:1"), "restart them with it in --cluster.allowed-hostnames first, which has 127.0.0.1"},
		"a name twice":     {n.CheckAdd(within(t), "b", domain+":1"), `"b" at ` + c.peers[1].Address + " is a member: remove it first"},
		"nobody":           {n.CheckRemove(within(t), "x"), `no member is named "x", those that there are: a, b, c`},
		"the asked itself": {n.CheckRemove(within(t), "a"), "stop that, and ask the one that leads then"},
	} {
		if !errors.Is(tt.err, etcd.ErrMembers) || !strings.Contains(tt.err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, tt.err, tt.want)
		}
	}
	alone := startUp(t, etcd.EmbeddedOptions{})
	if _, err := alone.Members(within(t)); !errors.Is(err, etcd.ErrAlone) {
		t.Errorf("Members() of one node = %v, want ErrAlone", err)
	}
	if err := alone.CheckRemove(within(t), "a"); !errors.Is(err, etcd.ErrAlone) {
		t.Errorf("CheckRemove() of one node = %v, want ErrAlone", err)
	}
	if err := alone.HandOver(within(t)); err != nil {
		t.Errorf("HandOver() of one node = %v", err)
	}
}

// Who is not of the cluster does not get in, and the others don't mind.
func TestStrangers(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*testing.T, *trio, *etcd.Cluster)
		said   string // in the log of a member
		says   string // the stranger, at its end
	}{
		"a certificate of another CA": {func(t *testing.T, c *trio, own *etcd.Cluster) {
			other := certs.New(t)
			own.CAFile = other.File
			own.CertFile, own.KeyFile = other.Issue("c", certs.Leaf{Hosts: []string{"127.0.0.1", domain}})
		}, "rejected connection", ""},
		"a certificate of another cluster under the same CA": {func(_ *testing.T, c *trio, own *etcd.Cluster) {
			own.CertFile, own.KeyFile = c.ca.Issue("other", certs.Leaf{Hosts: []string{"127.0.0.1", "other.test"}})
			own.AllowedHostnames = []string{"other.test", domain}
		}, "client certificate authentication failed", ""},
		"a cluster of another name": {func(_ *testing.T, _ *trio, own *etcd.Cluster) {
			own.Name = "other"
		}, "", "has run before"},
	} {
		t.Run(name, func(t *testing.T) {
			c := startTrio(t)
			c.end(c.nodes[2])
			own := *c.nodes[2].o.Cluster
			tt.change(t, c, &own)
			stranger := &node{o: c.nodes[2].o, log: &logged{}}
			stranger.o.Cluster, stranger.o.Dir = &own, testDir(t)
			stranger.o.Log = slog.New(slog.NewTextHandler(stranger.log, nil))
			c.begin(stranger)
			eventually(t, "the stranger is refused", func() bool {
				if tt.says != "" {
					return strings.Contains(stranger.Status().LastExit, tt.says)
				}
				return c.nodes[0].log.has(tt.said) || c.nodes[1].log.has(tt.said)
			})
			mustPut(t, c.nodes[0], "k", "v")
			wantValue(t, c.nodes[1], "k", "v")
			if stranger.Up() {
				t.Fatal("the stranger is up")
			}
			c.end(stranger)
			c.begin(c.nodes[2]) // the member that the cluster misses
			c.await(c.nodes[2])
			wantValue(t, c.nodes[2], "k", "v")
		})
	}
}
