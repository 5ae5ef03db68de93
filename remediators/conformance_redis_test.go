package remediators_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/signalbox/signalbox/test/servers"
)

// monitored is a real Redis with its MONITOR, which shows each command that it
// carried out.
type monitored struct {
	server *servers.RedisServer
	marks  int

	mu    sync.Mutex
	lines []string
	seen  chan string // marks, as they come by
}

// redis starts the one that all checks share.
func (h *house) redis() *monitored {
	h.t.Helper()
	if h.monitored != nil {
		return h.monitored
	}
	r := &monitored{server: servers.Redis(h.t), seen: make(chan string, 16)}
	r.server.Exec("ACL", "SETUSER", "signalbox", "on", ">"+redisPassword, "allkeys", "+get", "+mget", "+set", "+watch", "+unwatch", "+multi", "+exec", "+select", "+hello", "+client", "+ping")
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.server.Port))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.Close() })
	_, _ = conn.Write([]byte("MONITOR\r\n"))
	lines := bufio.NewScanner(conn)
	if !lines.Scan() || lines.Text() != "+OK" {
		h.t.Fatalf("MONITOR: %q", lines.Text())
	}
	go func() {
		for lines.Scan() {
			if _, mark, ok := strings.Cut(lines.Text(), `"mark-`); ok {
				r.seen <- mark
				continue
			}
			r.mu.Lock()
			r.lines = append(r.lines, lines.Text())
			r.mu.Unlock()
		}
	}()
	h.monitored = r
	return r
}

// sync waits until the monitor has shown all that was done before.
func (r *monitored) sync() {
	r.marks++
	mark := fmt.Sprint(r.marks)
	r.server.Exec("ECHO", "mark-"+mark)
	for got := range r.seen {
		if strings.HasPrefix(got, mark+`"`) {
			return
		}
	}
}

func (r *monitored) forget() {
	r.sync()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = nil
}

// writes are the commands that were carried out and wrote: those of a transaction
// show when it is executed.
func (r *monitored) writes() (list []string) {
	r.sync()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lines {
		if _, command, _ := strings.Cut(l, "] "); strings.HasPrefix(strings.ToLower(command), `"set"`) {
			list = append(list, command)
		}
	}
	return list
}
