package etcd_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/store/etcd"
)

// The member of an earlier daemon does not end: that is said, with a bound.
func TestPredecessorHangs(t *testing.T) {
	dir := testDir(t)
	held := filepath.Join(dir, "etcd")
	if err := os.MkdirAll(held, 0o700); err != nil {
		t.Fatal(err)
	}
	lock, err := os.Open(held)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	e := start(t, etcd.EmbeddedOptions{Dir: dir, StartTimeout: 4 * time.Second})
	eventually(t, "an exit", func() bool { return e.Status().Exits > 0 })
	if last := e.Status().LastExit; !strings.Contains(last, "still in use by the member of an earlier daemon") {
		t.Errorf("LastExit = %q", last)
	}
	_ = lock.Close()
	if err := e.Await(within(t)); err != nil {
		t.Fatal(err)
	}
}

// What the daemon's environment holds is not for its member.
func TestMemberHasNoSecrets(t *testing.T) {
	t.Setenv("PAGER_TOKEN", "hunter2")
	e := startUp(t, etcd.EmbeddedOptions{})
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", e.Status().PID))
	if err != nil {
		t.Skip("LOUD: no /proc here: the member's environment is NOT tested:", err)
	}
	if bytes.Contains(environ, []byte("hunter2")) || !bytes.Contains(environ, []byte("PATH=")) {
		t.Errorf("the member's environment: %q", environ)
	}
}

// The member listens on its socket, and on one port of loopback that wants a
// certificate that nobody else can have.
func TestWhatListens(t *testing.T) {
	dir := testDir(t)
	e := startUp(t, etcd.EmbeddedOptions{Dir: dir})
	ports := listening(t, e.Status().PID)
	if len(ports) != 1 || !strings.HasPrefix(ports[0], "127.0.0.1:") {
		t.Fatalf("the member listens on %v, want one port of loopback", ports)
	}
	conn, err := tls.Dial("tcp", ports[0], &tls.Config{InsecureSkipVerify: true})
	if err == nil {
		_, err = fmt.Fprintf(conn, "GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a peer without a certificate: %v, want it refused", err)
	}
	plain, err := net.Dial("tcp", ports[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	_, _ = fmt.Fprintf(plain, "GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
	answer := make([]byte, 256)
	if n, _ := plain.Read(answer); bytes.Contains(answer[:n], []byte("200 OK")) {
		t.Errorf("a peer without TLS is answered: %s", answer[:n])
	}
}

// listening returns the TCP addresses that a process listens on, from proc(5).
func listening(t *testing.T, pid int) []string {
	t.Helper()
	mine := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 {
		t.Skip("LOUD: no /proc here: what the member listens on is NOT tested")
	}
	for _, fd := range fds {
		target, _ := os.Readlink(fd)
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			mine[strings.TrimSuffix(inode, "]")] = true
		}
	}
	var found []string
	for _, table := range []string{"tcp", "tcp6"} {
		text, _ := os.ReadFile("/proc/net/" + table)
		for _, line := range strings.Split(string(text), "\n")[1:] {
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != "0A" || !mine[f[9]] {
				continue
			}
			var a, b, c, d byte
			var port int
			if n, _ := fmt.Sscanf(f[1], "%02X%02X%02X%02X:%X", &d, &c, &b, &a, &port); n != 5 || table == "tcp6" {
				found = append(found, table+" "+f[1])
				continue
			}
			found = append(found, fmt.Sprintf("%d.%d.%d.%d:%d", a, b, c, d, port))
		}
	}
	return found
}
