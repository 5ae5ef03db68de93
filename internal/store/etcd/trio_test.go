package etcd_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/etcd"
	"github.com/signalbox/signalbox/test/certs"
	"github.com/signalbox/signalbox/test/servers"
)

// trio is a cluster of three members, each a child process with mutual TLS.
type trio struct {
	t     testing.TB
	ca    *certs.Authority
	peers []etcd.Peer
	nodes []*node
}

// node is one member of a trio, and what it was started with.
type node struct {
	*etcd.Embedded
	o   etcd.EmbeddedOptions
	log *logged
}

// domain is a name that the certificates of a trio have beside the address,
// which all have in common here.
const domain = "members.test"

// newTrio makes the members; none runs yet.
func newTrio(t testing.TB) *trio {
	t.Helper()
	c := &trio{t: t, ca: certs.New(t)}
	for _, name := range []string{"a", "b", "c"} {
		c.peers = append(c.peers, etcd.Peer{Name: name, Address: freeAddress(t)})
	}
	for _, p := range c.peers {
		c.nodes = append(c.nodes, c.node(p))
	}
	return c
}

func (c *trio) node(p etcd.Peer) *node {
	cert, key := c.ca.Issue(p.Name, certs.Leaf{Hosts: []string{"127.0.0.1", domain}})
	n := &node{log: &logged{}}
	n.o = etcd.EmbeddedOptions{
		Dir: testDir(c.t), UpkeepEvery: 200 * time.Millisecond,
		Log: n.log.logger().With("member", p.Name),
		Cluster: &etcd.Cluster{
			Name: "test", Member: p.Name, Listen: p.Address, Members: c.peers,
			CAFile: c.ca.File, CertFile: cert, KeyFile: key, AllowedHostnames: []string{domain},
		},
	}
	c.t.Cleanup(func() {
		if c.t.Failed() {
			c.t.Logf("the log of member %s:\n%s", p.Name, n.log.tail())
		}
	})
	return n
}

// begin starts a member, and does not wait.
func (c *trio) begin(n *node) { c.t.Helper(); n.Embedded = start(c.t, n.o) }

// startTrio runs three members, and waits until all are up.
func startTrio(t testing.TB) *trio {
	t.Helper()
	c := newTrio(t)
	for _, n := range c.nodes {
		c.begin(n)
	}
	for _, n := range c.nodes {
		c.await(n)
	}
	return c
}

func (c *trio) await(n *node) {
	c.t.Helper()
	if err := n.Await(within(c.t)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *trio) end(n *node) {
	c.t.Helper()
	if err := n.Close(); err != nil {
		c.t.Fatal(err)
	}
}

// leader returns the member that leads, and the others, once a majority of
// those that run agrees.
func (c *trio) leader(of ...*node) (leader *node, others []*node) {
	c.t.Helper()
	if len(of) == 0 {
		of = c.nodes
	}
	eventually(c.t, "the members agree on a leader", func() bool {
		leader, others = nil, nil
		for _, n := range of {
			s := n.Status()
			if first := of[0].Status(); s.Leader == 0 || s.Leader != first.Leader {
				return false
			}
			if s.Leads() {
				leader = n
			} else {
				others = append(others, n)
			}
		}
		return leader != nil
	})
	return leader, others
}

// freeze stops a member's process until thaw, or the end of the test.
func freeze(t testing.TB, n *node) (thaw func()) {
	t.Helper()
	pid := n.Status().PID
	if pid <= 1 {
		t.Fatalf("no process to stop: %d", pid)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	thaw = sync.OnceFunc(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	t.Cleanup(thaw)
	return thaw
}

func freeAddress(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", servers.FreePort(t))
}

// logged is a log that a test looks into.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *logged) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

// count is how many lines have all texts.
func (l *logged) count(texts ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			n++
		}
	}
	return n
}

func (l *logged) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(l.text.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

// wipe loses a member's disk.
func wipe(t testing.TB, n *node) {
	t.Helper()
	if err := os.RemoveAll(n.o.Dir); err != nil {
		t.Fatal(err)
	}
}

func (c *trio) members(n *node) store.Membership {
	c.t.Helper()
	list, err := n.Members(within(c.t))
	if err != nil {
		c.t.Fatal(err)
	}
	return list
}

// voters are the names of the members with a vote that answer.
func voters(list store.Membership) (names []string) {
	for _, m := range list.Members {
		if !m.Learner && m.Health == "ok" {
			names = append(names, m.Name)
		}
	}
	slices.Sort(names)
	return names
}
