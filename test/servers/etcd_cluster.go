package servers

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Names of the variables for a member of several: its name, and all members as
// etcd has them.
const (
	etcdName    = "SIGNALBOX_TEST_ETCD_NAME"
	etcdMembers = "SIGNALBOX_TEST_ETCD_MEMBERS"
)

// EtcdCluster is an etcd of three members, each a process of its own. What an
// EtcdServer can, each of Members can, but for a Restore.
type EtcdCluster struct {
	Members []*EtcdServer
	CA      string // PEM files, for its clients
	Cert    string
	Key     string
}

// EtcdOfThree starts an etcd of three members, and waits until each answers.
func EtcdOfThree(t testing.TB) *EtcdCluster {
	t.Helper()
	dir := etcdFiles(t)
	names := []string{"a", "b", "c"}
	members := make([]string, len(names))
	for i, name := range names {
		members[i] = fmt.Sprintf("%s=http://127.0.0.1:%d", name, freePort(t))
	}
	c := &EtcdCluster{}
	for _, name := range names {
		e := newEtcd(t, dir)
		begun := func(context.Context, int) error { return nil } // none answers before another runs
		e.launch(dir, begun, etcdName+"="+name, etcdMembers+"="+strings.Join(members, ","))
		c.Members = append(c.Members, e)
	}
	c.CA, c.Cert, c.Key = c.Members[0].CA, c.Members[0].Cert, c.Members[0].Key
	for _, e := range c.Members {
		e.probe = func(ctx context.Context) error { return e.ask(ctx, e.URL) }
		if err := e.awaitReady(); err != nil {
			t.Fatalf("%s: %v\n%s", e.name, err, e.tail())
		}
	}
	return c
}

// URLs of all members, for their clients.
func (c *EtcdCluster) URLs() (urls []string) {
	for _, e := range c.Members {
		urls = append(urls, e.URL)
	}
	return urls
}

// Leader returns the member that leads, and the others, once one that runs says
// so of itself.
func (c *EtcdCluster) Leader() (leader *EtcdServer, others []*EtcdServer) {
	t := c.Members[0].t
	t.Helper()
	Await(t, Patience, "a leader of the etcd", func(ctx context.Context) error {
		leader, others = nil, nil
		for _, e := range c.Members {
			if leader == nil && e.leads(ctx) {
				leader = e
			} else {
				others = append(others, e)
			}
		}
		if leader == nil {
			return fmt.Errorf("none of %s leads", strings.Join(c.URLs(), ", "))
		}
		return nil
	})
	return leader, others
}

// leads reports whether the member says that it leads.
func (e *EtcdServer) leads(ctx context.Context) bool {
	if e.running == nil {
		return false
	}
	leads := false
	_ = e.with(ctx, e.URL, func(ctx context.Context, client *clientv3.Client) error {
		answer, err := client.Status(ctx, e.URL)
		leads = err == nil && answer.Leader == answer.Header.MemberId
		return err
	})
	return leads
}

// etcdData is the directory of the data, and the member's name and address for
// its peers, with all members.
func etcdData(dir string) (data, name, peer, members string) {
	name, members = cmp.Or(os.Getenv(etcdName), "test"), os.Getenv(etcdMembers)
	if members == "" {
		return filepath.Join(dir, "data"), name, "http://127.0.0.1:0", ""
	}
	for member := range strings.SplitSeq(members, ",") {
		if at, own := strings.CutPrefix(member, name+"="); own {
			peer = at
		}
	}
	return filepath.Join(dir, "data-"+name), name, peer, members
}
