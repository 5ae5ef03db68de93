package servers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Ports of servers under test are below those that the kernel gives to whoever
// asks for any, so that neither a listener on port 0 nor an outgoing connection
// takes one between a server's end and its restart. Test processes share them
// by locks on files, which end with the process that holds them.
const (
	lowestPort  = 12000
	highestPort = 32767 // Linux gives 32768 and above, by default
)

// FreePort returns a port for a server of the test's own that is stopped and
// started again: see freePort.
func FreePort(t testing.TB) int { t.Helper(); return freePort(t) }

// freePort returns a port of loopback that nobody listens on, and that no other
// test gets before this one has ended. A server that finds it taken all the
// same is started again on another.
func freePort(t testing.TB) int {
	t.Helper()
	port, release := claimPort(t)
	t.Cleanup(release)
	return port
}

// claimPort is freePort for longer than a test: until release.
func claimPort(t testing.TB) (port int, release func()) {
	t.Helper()
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("signalbox-test-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	low, high := lowestPort, highestPort
	if first, ok := ephemeral(); ok && first > low {
		high = min(high, first-1)
	}
	const attempts = 1000
	for range attempts {
		port := low + rand.IntN(high-low+1)
		held, err := claim(filepath.Join(dir, fmt.Sprint(port)))
		if err != nil {
			t.Fatal(err)
		}
		if held == nil {
			continue
		}
		if !free(port) {
			_ = held.Close()
			continue
		}
		return port, func() { _ = held.Close() }
	}
	t.Fatalf("no free port of %d to %d in %d attempts", low, high, attempts)
	return 0, nil
}

// claim locks a file, and returns nil where another has it.
func claim(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

func free(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// ephemeral is the first port that the kernel gives by itself.
func ephemeral() (first int, ok bool) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0, false
	}
	_, err = fmt.Sscan(strings.TrimSpace(string(text)), &first)
	return first, err == nil
}
