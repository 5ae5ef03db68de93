package servers

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is a child process that serves HTTP at URL. Its methods are for the
// test's own goroutine.
type Server struct {
	URL string // "http://127.0.0.1:port", the same after a Restart

	t       testing.TB
	name    string
	argv    []string
	how     how
	logPath string
	probe   func(context.Context) error
	running *child
	touched bool   // a test stopped it, or sent it a signal
	release func() // of its port
}

// how a program runs, where that is not as the test itself.
type how struct {
	env  []string            // nil: that of the test
	dir  string              // working directory
	user *syscall.Credential // nil: the test's
	quit syscall.Signal      // what asks it to end; 0: SIGTERM
}

// child is one run of a Server's program.
type child struct {
	cmd  *exec.Cmd
	done <-chan struct{} // closed when it has ended
}

// launch is what a server is started with, for the port that it got.
type launch struct {
	name   string
	argv   func(port int) []string
	url    func(port int) string
	probe  string // path that answers 200 when it is ready
	client *http.Client
	check  func(ctx context.Context, port int) error // in place of probe: nil when it is ready
	how    how
	lasts  string // directory of its log, of a server that who starts it ends; "": it ends with the test
}

// start starts a server, on another port where the one it got is taken.
func start(t testing.TB, l launch) *Server {
	t.Helper()
	const attempts = 3
	for attempt := 1; ; attempt++ {
		port, release := claimPort(t)
		url, logs := l.url(port), l.lasts
		if logs == "" {
			t.Cleanup(release)
			logs = t.TempDir()
		}
		s := &Server{
			URL: url, t: t, name: l.name, argv: l.argv(port), how: l.how, probe: ready(l.client, url+l.probe),
			logPath: filepath.Join(logs, l.name+".log"), release: release,
		}
		if l.check != nil {
			s.probe = func(ctx context.Context) error { return l.check(ctx, port) }
		}
		s.spawn()
		err := s.awaitReady()
		if err == nil && l.lasts == "" {
			t.Cleanup(s.end)
		}
		if err == nil {
			return s
		}
		s.Kill()
		if l.lasts != "" {
			release()
		}
		if attempt == attempts || !taken(s.Log()) {
			t.Fatalf("%s: %v\n%s", l.name, err, s.tail())
		}
	}
}

// taken reports whether a log says that a port was taken.
func taken(log string) bool {
	log = strings.ToLower(log)
	return strings.Contains(log, "address already in use") || strings.Contains(log, "eaddrinuse")
}

// spawn starts the program.
func (s *Server) spawn() {
	s.t.Helper()
	log, err := os.OpenFile(s.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(s.argv[0], s.argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env, cmd.Dir = s.how.env, s.how.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true, Credential: s.how.user}
	done, err := Start(cmd)
	if err != nil {
		s.t.Fatalf("%s: %v", s.name, err)
	}
	s.running = &child{cmd: cmd, done: done}
}

// awaitReady waits until the server answers, and not when it has ended.
func (s *Server) awaitReady() error {
	ctx, cancel := context.WithTimeout(s.t.Context(), startPatience)
	defer cancel()
	tick := time.NewTicker(later)
	defer tick.Stop()
	for {
		err := s.probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.running.done:
			return errors.New("ended before it was ready")
		case <-ctx.Done():
			return fmt.Errorf("not ready within %s: %w", startPatience, err)
		case <-tick.C:
		}
	}
}

// Kill ends the server at once, as kill -9 does.
func (s *Server) Kill() { s.stop(syscall.SIGKILL) }

// Stop asks the server to end, and waits until it has.
func (s *Server) Stop() { s.stop(cmp.Or(s.how.quit, syscall.SIGTERM)) }

func (s *Server) stop(signal syscall.Signal) {
	c := s.running
	if c == nil {
		return
	}
	s.running, s.touched = nil, true
	_ = c.cmd.Process.Signal(signal) // an error says that it has ended
	_ = c.cmd.Process.Signal(syscall.SIGCONT)
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	select {
	case <-c.done:
	case <-ctx.Done():
		_ = c.cmd.Process.Kill()
		<-c.done
	}
}

// Restart starts the server again on its port and its data, after Kill or
// Stop, and waits until it is ready.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.spawn()
	if err := s.awaitReady(); err != nil {
		s.t.Fatalf("%s: restart: %v\n%s", s.name, err, s.tail())
	}
}

// stopWithin bounds how long a process may take to stop where it is.
const stopWithin = 10 * time.Second

// Pause stops the process where it is (SIGSTOP): connections are accepted by
// the kernel, and nothing answers. Resume lets it go on.
func (s *Server) Pause() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(s.t.Context(), stopWithin)
	defer cancel()
	for !stopped(s.running.cmd.Process.Pid) { // a signal is only sent
		if ctx.Err() != nil {
			s.t.Fatalf("%s did not stop within %v", s.name, stopWithin)
		}
		runtime.Gosched()
	}
}

// stopped reports whether all threads of a process are.
func stopped(pid int) bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(tasks) == 0 {
		return false
	}
	for _, task := range tasks {
		stat, err := os.ReadFile(task)
		if err != nil {
			return false
		}
		// "pid (name) state …", and the name may hold anything.
		if _, state, ok := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " "); !ok || !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}

// Resume lets a paused server go on.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

// Reload asks the server to read its configuration again (SIGHUP).
func (s *Server) Reload() { s.signal(syscall.SIGHUP) }

func (s *Server) signal(signal syscall.Signal) {
	s.t.Helper()
	if s.running == nil {
		s.t.Fatalf("%s is not running", s.name)
	}
	s.touched = true
	if err := s.running.cmd.Process.Signal(signal); err != nil {
		s.t.Fatalf("%s: %v", s.name, err)
	}
}

// Log is what the server has written so far.
func (s *Server) Log() string {
	b, err := os.ReadFile(s.logPath)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (s *Server) tail() string {
	const lines = 60
	all := bytes.Split(bytes.TrimSpace([]byte(s.Log())), []byte("\n"))
	last := all[max(0, len(all)-lines):]
	return fmt.Sprintf("--- the end of %s's log\n%s", s.name, bytes.Join(slices.Clone(last), []byte("\n")))
}

func (s *Server) end() {
	s.Stop()
	if s.t.Failed() {
		s.t.Log(s.tail())
	}
}
