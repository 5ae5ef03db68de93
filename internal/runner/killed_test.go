//go:build linux

package runner

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The daemon is killed while the program runs: it runs on, and its end is known.
func TestDaemonIsKilled(t *testing.T) {
	t.Parallel()
	d, dir := newDir(t), shared(t)
	cmd := exec.Command(self, daemonCommand, string(d), "k", "/bin/sh", "-c",
		"echo begun >> "+dir+"/log; while [ ! -e "+dir+"/go ]; do sleep 0.05; done; echo over >> "+dir+"/log; echo bye")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(d, "k") })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "started\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} { // to its whole group, as a terminal does
		_ = syscall.Kill(-cmd.Process.Pid, s)
	}
	_ = cmd.Wait()
	eventually(t, "the program to run", func() bool { return contains(dir+"/log", "begun") })
	s := look(t, d, "k")
	if s.State != Running || s.Begun.PID == 0 || s.Begun.Ends.Before(s.Begun.At) {
		t.Fatalf("got %+v", s)
	}
	if err := os.WriteFile(dir+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if e := ended(t, d, "k"); e.Code != 0 || e.Output != "bye\n" {
		t.Errorf("got %+v", e)
	}
	if text, _ := os.ReadFile(dir + "/log"); string(text) != "begun\nover\n" {
		t.Errorf("the program's own log: %q", text)
	}
}

// The runner is killed: the program ends with it, and how far it came is not known.
func TestRunnerIsKilled(t *testing.T) {
	t.Parallel()
	d, log := newDir(t), filepath.Join(shared(t), "log")
	start(t, d, plain("x", "/bin/sh", "-c", "echo begun >> "+log+"; exec sleep 1000"))
	eventually(t, "the program to run", func() bool { return contains(log, "begun") })
	pid := look(t, d, "x").Begun.PID
	if err := syscall.Kill(parent(t, pid), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the lock to be free", func() bool { return look(t, d, "x").State != Running })
	if s := look(t, d, "x"); s.State != Lost {
		t.Errorf("got %+v, want lost", s)
	}
	eventually(t, "the program to end with its runner", func() bool { return !alive(pid) })
	if err := d.Start(plain("x", "/bin/true"), time.Now(), open); !errors.Is(err, ErrKnown) {
		t.Errorf("got %v, want ErrKnown: it is never run again", err)
	}
}

func parent(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	n, err := strconv.Atoi(fields[1])
	if err != nil || n < 2 {
		t.Fatalf("parent of %d: %q", pid, text)
	}
	return n
}

// Where the directory is gone nothing begins; a new one has another identity.
func TestDirectoryIsGone(t *testing.T) {
	t.Parallel()
	d, mark := newDir(t), filepath.Join(shared(t), "ran")
	was, err := d.Identity()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(string(d)); err != nil {
		t.Fatal(err)
	}
	if err := d.Start(plain("g", "/usr/bin/touch", mark), time.Now(), open); err == nil || errors.Is(err, ErrKnown) {
		t.Errorf("got %v", err)
	}
	if _, err := d.Identity(); err == nil {
		t.Error("it has an identity still")
	}
	if err := d.Prepare(time.Now()); err != nil {
		t.Fatal(err)
	}
	if is, err := d.Identity(); err != nil || is == was {
		t.Errorf("got %q, %v: it was %q", is, err, was)
	}
	if info, err := os.Stat(string(d)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v, %v", info, err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("it ran")
	}
}

// What has long ended is cleared away, and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	d := newDir(t)
	start(t, d, plain("old", "/bin/true"))
	start(t, d, plain("new", "/bin/true"))
	ended(t, d, "old")
	ended(t, d, "new")
	_ = d.Start(plain("never", "/bin/true"), time.Now(), func() error { return errShut })
	past := time.Now().Add(-Keep - time.Hour)
	for _, id := range []string{"old", "never", "lost"} {
		if id == "lost" {
			start(t, d, plain(id, "/bin/true"))
			ended(t, d, id)
			if err := os.Remove(d.path(name(id) + endFile)); err != nil {
				t.Fatal(err)
			}
		}
		for _, end := range []string{orderFile, begunFile, endFile} {
			_ = os.Chtimes(d.path(name(id)+end), past, past)
		}
	}
	if err := d.Prepare(time.Now()); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]State{"old": Absent, "never": Absent, "new": Ended, "lost": Lost} {
		if s := look(t, d, id); s.State != want {
			t.Errorf("%s: got %+v, want %v", id, s, want)
		}
	}
}
