package faults

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/signalbox/signalbox/test/certs"
	"github.com/signalbox/signalbox/test/servers"
)

// network is a network namespace for each of some daemons, and a bridge between
// them, over which nothing but their stores talk. What a cell has on its own
// loopback is there on each one's too, whatever is cut: a leader that nobody
// hears still reaches its targets. It needs root.
type network struct {
	t      testing.TB
	bridge string
	spaces []string // names of the namespaces
	ports  []string // their ends on the bridge
}

// lacks says why a row can't be played on this machine; empty: it can.
func (r *row) lacks() string {
	if r.root && os.Geteuid() != 0 {
		return "it needs root"
	}
	if r.program != "" {
		if _, err := exec.LookPath(r.program); err != nil {
			return "it needs " + r.program
		}
	}
	if !r.spaces {
		return ""
	}
	name := fmt.Sprintf("sbp%x-%x", os.Getpid(), networks.Add(1))
	for _, args := range [][]string{
		{"netns", "add", name},
		{"link", "add", name, "type", "bridge"},
		{"link", "del", name},
		{"netns", "del", name},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			_ = exec.Command("ip", "netns", "del", name).Run()
			return fmt.Sprintf("this machine gives no network namespaces and bridges: ip %s: %v %s", strings.Join(args, " "), err, out)
		}
	}
	return ""
}

// networks counts those of this process, for their names.
var networks atomic.Int64

func newNetwork(t testing.TB, of int) *network {
	t.Helper()
	id := fmt.Sprintf("%x-%x", os.Getpid(), networks.Add(1))
	n := &network{t: t, bridge: "sbb" + id}
	t.Cleanup(n.remove)
	n.must("link", "add", n.bridge, "type", "bridge")
	n.must("link", "set", n.bridge, "up")
	for i := range of {
		space, port := fmt.Sprintf("sbn%s-%d", id, i), fmt.Sprintf("sb%d%s", i, id)
		n.spaces, n.ports = append(n.spaces, space), append(n.ports, port)
		n.must("netns", "add", space)
		n.must("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space)
		n.must("link", "set", port, "master", n.bridge, "up")
		n.must("-n", space, "addr", "add", address(i)+"/24", "dev", "eth0")
		n.must("-n", space, "link", "set", "eth0", "up")
		n.must("-n", space, "link", "set", "lo", "up")
	}
	return n
}

// address is that of one daemon on the bridge, which the machine itself is not
// on.
func address(i int) string { return fmt.Sprintf("10.213.0.%d", i+1) }

func (n *network) must(args ...string) {
	n.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (n *network) remove() {
	for _, space := range n.spaces {
		_ = exec.Command("ip", "netns", "del", space).Run()
	}
	_ = exec.Command("ip", "link", "del", n.bridge).Run()
}

// cut takes a daemon's link away, or gives it back.
func (n *network) cut(i int, away bool) {
	n.t.Helper()
	n.must("link", "set", n.ports[i], map[bool]string{true: "down", false: "up"}[away])
}

// mute lets nothing of what a daemon sends arrive, or all again: the others'
// address is that of no machine. What is sent to it does.
func (n *network) mute(i int, on bool) {
	n.t.Helper()
	for k := range n.spaces {
		switch {
		case k == i:
		case on:
			n.must("-n", n.spaces[i], "neigh", "replace", address(k), "lladdr", "02:00:00:00:00:ee", "dev", "eth0", "nud", "permanent")
		default:
			n.must("-n", n.spaces[i], "neigh", "del", address(k), "dev", "eth0")
		}
	}
}

// inside does something with a thread in a namespace, which ends with it.
func inside(space string, do func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is not used again
		file, err := os.Open("/run/netns/" + space)
		if err != nil {
			result <- err
			return
		}
		defer file.Close()
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
			result <- err
			return
		}
		result <- do()
	}()
	return <-result
}

// client is of the HTTP servers on a namespace's loopback.
func client(space string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, to string) (c net.Conn, err error) {
		err = inside(space, func() (err error) {
			c, err = (&net.Dialer{}).DialContext(ctx, network, to)
			return err
		})
		return c, err
	}}}
}

// share puts a server of the machine's loopback on each namespace's, at the same
// address.
func (n *network) share(server string) {
	n.t.Helper()
	at, err := url.Parse(server)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, space := range n.spaces {
		var l net.Listener
		if err := inside(space, func() (err error) { l, err = net.Listen("tcp", at.Host); return err }); err != nil {
			n.t.Fatal(err)
		}
		n.t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				from, err := l.Accept()
				if err != nil {
					return
				}
				go forward(from, at.Host)
			}
		}()
	}
}

func forward(from net.Conn, to string) {
	defer from.Close()
	there, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer there.Close()
	go func() {
		_, _ = io.Copy(there, from)
		_ = there.Close()
	}()
	_, _ = io.Copy(from, there)
}

// cluster gives a cell three daemons whose embedded members are one cluster, each
// in a namespace of its own or all on the machine's loopback.
func (c *cell) cluster(of int, spaces bool) {
	c.t.Helper()
	if spaces {
		c.net = newNetwork(c.t, of)
	}
	ca := certs.New(c.t)
	var members, hosts, at []string
	for i := range of {
		host, port := "127.0.0.1", 2380
		if spaces {
			host = address(i)
		} else {
			port = servers.FreePort(c.t)
		}
		hosts, at = append(hosts, host), append(at, fmt.Sprintf("%s:%d", host, port))
		members = append(members, fmt.Sprintf("replica-%d=https://%s", i, at[i]))
	}
	for i := range of {
		name := fmt.Sprintf("replica-%d", i)
		cert, key := ca.Issue(name, certs.Leaf{Hosts: []string{hosts[i]}})
		d := newDaemon(c, name, []string{
			"--cluster.name", "cell", "--cluster.initial-members", strings.Join(members, ","), "--cluster.listen-address", at[i],
			"--cluster.ca-file", ca.File, "--cluster.cert-file", cert, "--cluster.key-file", key,
		})
		if spaces {
			d.space, d.http = c.net.spaces[i], client(c.net.spaces[i])
		}
		c.all = append(c.all, d)
	}
	if !spaces {
		return
	}
	for _, server := range []string{c.town.url, c.pagerURL, c.health} {
		c.net.share(server)
	}
}
