//go:build linux

package runner

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait; no test passes by reaching it.
const patience = 2 * time.Minute

// TestMain lets the test binary be the runner, and a daemon to be killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case Command:
			os.Exit(Main(os.Args[2:]))
		case daemonCommand:
			runDaemon(Dir(os.Args[2]), os.Args[3], os.Args[4:])
		}
	}
	os.Exit(m.Run())
}

const daemonCommand = "test-daemon"

// runDaemon starts a program, says so on stdout, and waits to be killed.
func runDaemon(d Dir, id string, argv []string) {
	o := plain(id, argv...)
	if err := d.Start(o, time.Now(), open); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("started")
	select {}
}

// open is a gate that lets through.
func open() error { return nil }

// plain is an order with limits that are in nobody's way.
func plain(id string, argv ...string) Order {
	return Order{
		ID: id, Argv: argv, Dir: "/", User: other(), Timeout: time.Minute,
		Limits: Limits{Memory: 1 << 30, CPU: time.Minute, FileSize: 1 << 20, OpenFiles: 64, Processes: 4096},
	}
}

// other is a user other than root where the test may become one.
func other() *User {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		return nil
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	return &User{UID: uint32(uid), GID: uint32(gid)}
}

// newDir is a directory that is prepared.
func newDir(t *testing.T) Dir {
	t.Helper()
	d := Dir(filepath.Join(t.TempDir(), "commands"))
	if err := d.Prepare(time.Now()); err != nil {
		t.Fatal(err)
	}
	return d
}

// shared is a directory in which programs of another user may write.
func shared(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "signalbox-runner-")
	if err == nil {
		err = os.Chmod(dir, 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// start begins an order, and sees to it that it is over when the test is.
func start(t *testing.T, d Dir, o Order) {
	t.Helper()
	if err := d.Start(o, time.Now(), open); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(d, o.ID) })
}

// stop kills a program that still runs, and waits for its end.
func stop(d Dir, id string) {
	for range int(patience / (20 * time.Millisecond)) {
		s, err := d.Look(id)
		if err != nil || s.State != Running {
			return
		}
		if s.Begun.PID > 1 {
			_ = exec.Command("kill", "-KILL", "--", "-"+strconv.Itoa(s.Begun.PID)).Run()
		}
		wait(20 * time.Millisecond)
	}
}

func wait(d time.Duration) { <-time.After(d) }

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	over := time.After(patience)
	for !ok() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-over:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// look looks, and fails the test where it can't.
func look(t *testing.T, d Dir, id string) Seen {
	t.Helper()
	s, err := d.Look(id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ended waits for the end of an order that began.
func ended(t *testing.T, d Dir, id string) End {
	t.Helper()
	eventually(t, "the end of "+id, func() bool { return look(t, d, id).State != Running })
	s := look(t, d, id)
	if s.State != Ended {
		t.Fatalf("%s: got %+v", id, s)
	}
	return s.End
}

// output runs a program to its end and returns what it said.
func output(t *testing.T, o Order) string {
	t.Helper()
	d := newDir(t)
	start(t, d, o)
	e := ended(t, d, o.ID)
	if e.Code != 0 {
		t.Fatalf("it failed: %+v", e)
	}
	return e.Output
}

// contains is a file's text, or nothing where there is none.
func contains(path, text string) bool {
	b, err := os.ReadFile(path)
	return err == nil && strings.Contains(string(b), text)
}

func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(text), ") Z ")
}

var errShut = errors.New("killed by @sre-lead")
