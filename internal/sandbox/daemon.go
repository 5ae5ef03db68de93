package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// whoDaemon speaks in the lines that the daemon's log is told as.
const whoDaemon = "daemon"

// Watch runs the daemon against the company, as its users would: binary with
// the company's configuration, its own data below dir, its log told as plain
// lines and kept whole in dir/daemon.log. It returns when ctx has ended and
// the daemon has stopped, or when the daemon ends by itself, which is an error.
func (c *Company) Watch(ctx context.Context, binary, dir string, args ...string) error {
	config := filepath.Join(dir, "config")
	if err := c.WriteConfig(config); err != nil {
		return err
	}
	kept, err := os.Create(filepath.Join(dir, "daemon.log"))
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	defer kept.Close()
	cmd := exec.CommandContext(ctx, binary, append([]string{"--config", config, "--data", filepath.Join(dir, "data"), "--log.format", "json"}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	log, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	c.retell(io.TeeReader(log, kept))
	err = cmd.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("sandbox: the daemon ended (%w); its log is %s", err, kept.Name())
}

// record is what is told of one line of the daemon's log.
type record struct {
	Level    string
	Msg      string
	Incident string
	Subject  string
	Says     string
	Owner    string
	Why      string
	Step     string
	To       string
	Found    string
	Undoes   string
	Stage    string
	Outcome  string
	End      string
	Because  string
	Reason   string
	Error    string
	Address  string
	Server   string
}

// retell reads the daemon's log to its end.
func (c *Company) retell(log io.Reader) {
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r record
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			continue
		}
		if text := r.tell(); text != "" {
			c.narrator.tell(whoDaemon, text)
		}
	}
}

// tell says in plain words what happened; empty: it is no news to a newcomer.
func (r *record) tell() string {
	switch r.Msg {
	case "listening":
		return fmt.Sprintf("%s at http://%s", r.Server, r.Address)
	case "term began":
		return "leads, its store answers: it watches now"
	case "incident opened":
		return fmt.Sprintf("breach: %s (incident %s, owner %s)", r.Says, r.Incident, r.Owner)
	case "claimed":
		if r.Undoes != "" {
			return fmt.Sprintf("takes %s back to %s (intent in the journal)", r.Step, r.To)
		}
		return fmt.Sprintf("asked again, all guards passed: flips %s from %s to %s (intent in the journal)", r.Step, r.Found, r.To)
	case "action ended":
		if r.Stage == "done" {
			return fmt.Sprintf("%s is at %s", r.Step, r.To)
		}
		return fmt.Sprintf("%s to %s: %s, %s", r.Step, r.To, r.Stage, r.Reason)
	case "verified":
		return "verified on new samples: " + r.Outcome
	case "page":
		return fmt.Sprintf("pages %s about %s: %s", r.Owner, r.Subject, r.Why)
	case "incident closed":
		return fmt.Sprintf("incident %s about %s is over: %s", r.Incident, r.Subject, r.End)
	}
	if r.Level == "ERROR" {
		return r.Msg + ": " + r.Error + r.Reason
	}
	return ""
}
