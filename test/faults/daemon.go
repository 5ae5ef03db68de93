package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/test/servers"
)

// daemon is one process of a cell, with a data directory of its own.
type daemon struct {
	c        *cell
	name     string
	store    []string // flags of its store; none: it is embedded
	data     string   // directory
	log      string   // file
	control  string   // URL
	webhooks string   // URL
	space    string   // network namespace; empty: the machine's
	http     *http.Client
	cmd      *exec.Cmd
	ended    <-chan struct{}
}

// newDaemon makes a daemon, which does not run yet.
func newDaemon(c *cell, name string, store []string) *daemon {
	c.t.Helper()
	d := &daemon{
		c: c, name: name, store: store, http: http.DefaultClient, data: c.t.TempDir(), log: filepath.Join(c.t.TempDir(), "daemon.log"),
		control: fmt.Sprintf("http://127.0.0.1:%d", servers.FreePort(c.t)), webhooks: fmt.Sprintf("http://127.0.0.1:%d", servers.FreePort(c.t)),
	}
	c.t.Cleanup(func() {
		d.kill()
		if c.t.Failed() {
			c.t.Logf("the log of %s ends:\n%s", name, d.tail(60))
		}
	})
	return d
}

// start runs the daemon with steps armed, and waits until it is ready; false:
// it died before, as it was told to.
func (d *daemon) start(steps string) bool {
	d.c.t.Helper()
	d.launch(steps)
	return d.awaitReady(steps != "")
}

// launch runs the daemon, and does not wait.
func (d *daemon) launch(steps string) {
	d.c.t.Helper()
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		d.c.t.Fatal(err)
	}
	defer log.Close()
	fmt.Fprintf(log, "--- started with steps %q\n", steps)
	args := []string{
		"--config", d.c.config, "--data", d.data, "--replica", d.name, "--store.lease", d.c.plan.lease.String(),
		"--web.listen-address", strings.TrimPrefix(d.control, "http://"), "--webhooks.listen-address", strings.TrimPrefix(d.webhooks, "http://"),
	}
	args = append(append([]string{d.c.binary}, args...), d.store...)
	if d.space != "" { // ip becomes the daemon
		args = append([]string{"ip", "netns", "exec", d.space}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "SIGNALBOX_STEPS="+steps, "SIGNALBOX_STEPS_LOG="+filepath.Join(filepath.Dir(d.log), "steps"))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if d.ended, err = servers.Start(cmd); err != nil {
		d.c.t.Fatal(err)
	}
	d.cmd = cmd
}

// awaitReady waits until the daemon is ready, or has stopped itself; false: it
// has died, which it may.
func (d *daemon) awaitReady(mayDie bool) bool {
	d.c.t.Helper()
	deadline, tick := time.After(servers.Patience), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-d.ended:
			if !mayDie {
				d.c.t.Fatalf("the daemon ended by itself:\n%s", d.tail(30))
			}
			d.died()
			return false
		case <-deadline:
			d.c.t.Fatalf("the daemon did not get ready:\n%s", d.tail(60))
		case <-tick.C:
			if d.get("/-/ready", nil) == nil || stopped(d.cmd.Process.Pid) {
				return true
			}
		}
	}
}

// sees waits until the positions are proved healthy: an alert is decided at
// once, and before that nothing may be thrown.
func (d *daemon) sees() {
	deadline, tick := time.After(patient(10*time.Second)), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		var body strings.Builder
		if d.text("/metrics", &body) == nil && goodRound.MatchString(body.String()) {
			return
		}
		select {
		case <-d.ended:
			return
		case <-deadline:
			return
		case <-tick.C:
		}
	}
}

var goodRound = regexp.MustCompile(`(?m)^signalbox_poll_last_good_round_timestamp_seconds\{source="metrics"\} [1-9]`)

// died notes the end of the process.
func (d *daemon) died() {
	d.c.deaths = append(d.c.deaths, time.Now())
	d.cmd = nil
}

// awaitDeath waits until the daemon has died at its step; false: it did not
// come there.
func (d *daemon) awaitDeath(within time.Duration) bool {
	if d.cmd == nil {
		return true
	}
	select {
	case <-d.ended:
		d.died()
		return true
	case <-time.After(within):
		return false
	}
}

// awaitStop waits until the daemon has stopped itself at its step.
func (d *daemon) awaitStop(within time.Duration) bool {
	deadline, tick := time.After(within), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for {
		if stopped(d.cmd.Process.Pid) {
			d.c.deaths = append(d.c.deaths, time.Now())
			return true
		}
		select {
		case <-deadline:
			return false
		case <-tick.C:
		}
	}
}

// resume continues a daemon that was stopped.
func (d *daemon) resume() { _ = d.cmd.Process.Signal(syscall.SIGCONT) }

// stopped reports whether a process is stopped by a signal.
func stopped(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	rest := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	return len(rest) > 0 && rest[0] == "T"
}

// kill ends the daemon as kill -9 does.
func (d *daemon) kill() {
	if d.cmd == nil {
		return
	}
	d.end()
	d.c.deaths = append(d.c.deaths, time.Now())
}

// end does so without being a fault after which a gap is measured.
func (d *daemon) end() {
	_ = d.cmd.Process.Kill()
	<-d.ended
	d.cmd = nil
}

// stop ends the daemon in good order, or, where it does not, as kill does.
func (d *daemon) stop() {
	if d.cmd == nil {
		return
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	d.resume() // one that has stopped itself hears nothing
	select {
	case <-d.ended:
		d.cmd = nil
	case <-time.After(30 * time.Second):
		d.c.t.Error("the daemon did not stop when it was told to")
		d.kill()
	}
}

// lapsed counts the leases that daemons of a cell lost while they lived, by
// their logs.
func (c *cell) lapsed() (n int) {
	for _, d := range c.all {
		text, _ := os.ReadFile(d.log)
		for _, line := range strings.Split(string(text), "\n") {
			if strings.Contains(line, "leadership ended") && strings.Contains(line, "no keepalive was answered") {
				n++
			}
		}
	}
	return n
}

// memory is the most resident memory that the daemon had so far, in KiB, as the
// kernel keeps it; 0: it is not told.
func (d *daemon) memory() int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	of := strings.Fields(rest)
	if len(of) == 0 {
		return 0
	}
	most, _ := strconv.Atoi(of[0])
	return most
}

func (d *daemon) get(path string, out any) error {
	var body strings.Builder
	if err := d.text(path, &body); err != nil || out == nil {
		return err
	}
	return json.Unmarshal([]byte(body.String()), out)
}

// text asks the daemon for a page.
func (d *daemon) text(path string, out *strings.Builder) error {
	ctx, cancel := context.WithTimeout(context.Background(), d.c.plan.patience())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.control+path, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(out, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	return nil
}

func (d *daemon) status() (engine.Status, error) {
	var st engine.Status
	err := d.get("/api/v1/status", &st)
	return st, err
}

func (d *daemon) tail(n int) string {
	text, _ := os.ReadFile(d.log)
	lines := strings.Split(string(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
