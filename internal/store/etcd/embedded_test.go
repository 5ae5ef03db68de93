package etcd_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/etcd"
	"github.com/signalbox/signalbox/internal/store/storetest"
)

// expirer ends leases as an operator, or a restart, would.
type expirer struct {
	*etcd.Store
	t *testing.T
}

func (x expirer) Expire(role string) { etcd.RevokeLeader(x.t, x.Store, role) }

// One member, and a client of its own for each case.
func TestConformance(t *testing.T) {
	dir := testDir(t)
	member := startUp(t, etcd.EmbeddedOptions{Dir: dir})
	storetest.Run(t, func(t *testing.T) store.Store {
		etcd.Clear(t, member.Store)
		return expirer{mustDial(t, etcd.Options{
			Endpoints: []string{"unix://" + filepath.Join(dir, "member.sock")}, TTL: 2 * time.Second,
		}), t}
	})
}

func TestMemberKilled(t *testing.T) {
	var mu sync.Mutex
	var seen []bool
	e := startUp(t, etcd.EmbeddedOptions{OnChange: func(up bool, _ string) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, up)
	}})
	mustPut(t, e, "k", "kept")
	batches, err := e.Watch(within(t), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	before := e.Status()
	kill(t, before.PID)
	eventually(t, "the daemon sees that its member is gone", func() bool { return !e.Up() || e.Status().PID != before.PID })
	for b := range batches {
		if b.Err != nil && !errors.Is(b.Err, store.ErrUnavailable) {
			t.Errorf("a watch over a killed member ended with %v", b.Err)
		}
	}
	if err := e.Await(within(t)); err != nil {
		t.Fatal(err)
	}
	wantValue(t, e, "k", "kept")
	after := e.Status()
	if after.Exits != 1 || !strings.Contains(after.LastExit, "signal: killed") || after.PID == before.PID {
		t.Errorf("Status() = %+v, want one exit by SIGKILL", after)
	}
	if after.ClusterID == 0 || after.ClusterID != before.ClusterID || after.MemberID != before.MemberID {
		t.Errorf("identity changed from %x/%x to %x/%x", before.ClusterID, before.MemberID, after.ClusterID, after.MemberID)
	}
	mu.Lock()
	defer mu.Unlock()
	if got := fmt.Sprint(seen); got != "[true false true]" {
		t.Errorf("OnChange saw %s", got)
	}
}

// A member that can't start keeps nobody waiting: calls fail at once.
func TestDownIsQuick(t *testing.T) {
	e := start(t, etcd.EmbeddedOptions{Binary: []string{"false"}, Timeout: time.Hour})
	eventually(t, "an exit", func() bool { return e.Status().Exits > 1 })
	_, _, getErr := e.Get(t.Context(), "k")
	_, _, listErr := e.List(t.Context(), "")
	_, commitErr := e.Commit(t.Context(), put("k", "v"))
	_, watchErr := e.Watch(t.Context(), "", 1)
	for what, err := range map[string]error{"Get": getErr, "List": listErr, "Commit": commitErr, "Watch": watchErr} {
		if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "exit status 1") {
			t.Errorf("%s = %v, want ErrUnavailable and the member's exit", what, err)
		}
	}
	if e.Up() {
		t.Error("Up() of a member that can't start")
	}
}

func TestTwoDaemonsOnOneDirectory(t *testing.T) {
	dir := testDir(t)
	e := startUp(t, etcd.EmbeddedOptions{Dir: dir})
	if other, err := etcd.Start(t.Context(), etcd.EmbeddedOptions{Dir: dir}); !errors.Is(err, etcd.ErrLocked) {
		t.Fatalf("second Start() = %v, %v, want ErrLocked", other, err)
	}
	mustPut(t, e, "k", "v")
}

func TestRestartKeepsDataAndLeadsAtOnce(t *testing.T) {
	dir := testDir(t)
	first, err := etcd.Start(t.Context(), etcd.EmbeddedOptions{Dir: dir, TTL: leaseTTL})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Await(within(t)); err != nil {
		t.Fatal(err)
	}
	mustPut(t, first, "k", "v")
	if _, err := first.Lead(within(t), "engine"); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil { // without Resign
		t.Fatal(err)
	}
	second := startUp(t, etcd.EmbeddedOptions{Dir: dir, TTL: leaseTTL})
	wantValue(t, second, "k", "v")
	if _, err := second.Lead(within(t), "engine"); err != nil {
		t.Fatalf("Lead after a restart = %v, want it long before the TTL of %v", err, leaseTTL)
	}
}

func TestDaemonKilled(t *testing.T) {
	dir := testDir(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	daemon := exec.Command(self, daemonCommand, dir)
	stdout, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	var member int
	if _, scanErr := fmt.Sscanf(line, "leads %d", &member); scanErr != nil {
		t.Fatalf("the daemon said %q (%v)", line, err)
	}
	kill(t, daemon.Process.Pid)
	_ = daemon.Wait()
	e := startUp(t, etcd.EmbeddedOptions{Dir: dir, TTL: leaseTTL})
	if alive(member) {
		t.Errorf("the member %d of the killed daemon lives, beside the new one", member)
	}
	if s := e.Status(); s.Exits != 0 {
		t.Errorf("the new member had to try again: %+v", s)
	}
	if _, err := e.Lead(within(t), "engine"); err != nil {
		t.Fatalf("Lead after the daemon was killed = %v, want it long before the TTL of %v", err, leaseTTL)
	}
}

func TestLongDirectory(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("no /proc here, by which a socket with a long path is reached:", err)
	}
	dir := filepath.Join(testDir(t), strings.Repeat("long/", 30))
	e := startUp(t, etcd.EmbeddedOptions{Dir: dir})
	mustPut(t, e, "k", "v")
	kill(t, e.Status().PID)
	eventually(t, "a second member", func() bool { return e.Status().Starts == 2 })
	wantValue(t, e, "k", "v")
}

// Nobody else can enter the directory, and what is in it is for its owner.
func TestDirectoryIsPrivate(t *testing.T) {
	dir := testDir(t)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	e := startUp(t, etcd.EmbeddedOptions{Dir: dir})
	mustPut(t, e, "k", "v")
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestClose(t *testing.T) {
	dir := testDir(t)
	e, err := etcd.Start(t.Context(), etcd.EmbeddedOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Await(within(t)); err != nil {
		t.Fatal(err)
	}
	pid := e.Status().PID
	if rss := e.Status().RSS; rss < 1<<20 {
		t.Errorf("RSS = %d bytes", rss)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if s := e.Status(); s.Up || alive(pid) || s.Exits != 0 {
		t.Errorf("after Close: %+v, the member lives: %t", s, alive(pid))
	}
	if err := e.Await(within(t)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Await after Close = %v", err)
	}
}

func TestStartOptions(t *testing.T) {
	dir := testDir(t)
	for name, tt := range map[string]struct {
		o    etcd.EmbeddedOptions
		want string
	}{
		"no directory":    {etcd.EmbeddedOptions{}, "data directory: is empty"},
		"short lease":     {etcd.EmbeddedOptions{Dir: dir, TTL: time.Second}, "lease TTL: whole seconds, at least 2s, got 1s"},
		"part of seconds": {etcd.EmbeddedOptions{Dir: dir, TTL: 2500 * time.Millisecond}, "lease TTL: whole seconds"},
		"timeout":         {etcd.EmbeddedOptions{Dir: dir, Timeout: -1}, "timeout: above zero"},
		"quota":           {etcd.EmbeddedOptions{Dir: dir, Quota: 10}, "quota in bytes: at least 1048576, got 10"},
		"keep":            {etcd.EmbeddedOptions{Dir: dir, Keep: -1}, "revisions to keep: at least 1"},
		"upkeep":          {etcd.EmbeddedOptions{Dir: dir, UpkeepEvery: -1}, "upkeep interval: above zero"},
		"binary":          {etcd.EmbeddedOptions{Dir: dir, Binary: []string{"no-such-binary"}}, "member's binary"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := etcd.Start(t.Context(), tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Start() = %v, want %q", err, tt.want)
			}
		})
	}
}

func kill(t testing.TB, pid int) {
	t.Helper()
	if pid <= 1 {
		t.Fatalf("no process to kill: %d", pid)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// alive is false for a process that has ended, reaped or not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
