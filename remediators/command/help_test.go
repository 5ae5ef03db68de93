//go:build linux

package command

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/runner"
)

// patience bounds every wait; no test passes by reaching it.
const patience = 2 * time.Minute

// TestMain lets the test binary be the runner, and a daemon to be killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case runner.Command:
			os.Exit(runner.Main(os.Args[2:]))
		case daemonCommand:
			runDaemon(os.Args[2], os.Args[3])
		}
	}
	os.Exit(m.Run())
}

const daemonCommand = "test-daemon"

// rig is a host: a directory of records, and one in which programs write.
type rig struct {
	t     *testing.T
	data  string // of records
	dir   string // for all to write
	clock time.Time
	r     signalbox.Remediator
	ids   []string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "signalbox-command-")
	if err == nil {
		err = os.Chmod(dir, 0o777|os.ModeSticky)
	}
	if err != nil {
		t.Fatal(err)
	}
	h := &rig{t: t, data: filepath.Join(t.TempDir(), "commands"), dir: dir, clock: time.Now()}
	t.Cleanup(func() {
		for _, id := range h.ids {
			h.stop(id)
		}
		_ = os.RemoveAll(dir)
	})
	if err := runner.Dir(h.data).Prepare(h.clock); err != nil {
		t.Fatal(err)
	}
	h.r = h.open(true)
	return h
}

func (h *rig) open(allowed bool) signalbox.Remediator {
	h.t.Helper()
	r, err := Kind().Open(kind.Env{Now: func() time.Time { return h.clock }, AllowCommands: allowed, Commands: h.data})
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// stop kills what still runs of an id, and waits until its runner is gone too.
func (h *rig) stop(id string) {
	over := time.After(patience)
	for {
		s, err := runner.Dir(h.data).Look(id)
		if err != nil || s.State != runner.Running {
			return
		}
		if s.Begun.PID > 1 {
			_ = exec.Command("kill", "-KILL", "--", "-"+strconv.Itoa(s.Begun.PID)).Run()
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-over:
			return
		}
	}
}

// someone is the name of a user as whom the test may run programs.
func someone(t *testing.T) string {
	t.Helper()
	if os.Geteuid() == 0 {
		return "nobody"
	}
	u, err := user.Current()
	if err != nil {
		t.Skip("LOUD: this user has no name: NOT tested:", err)
	}
	return u.Username
}

// script is a program of the configuration, which nobody else may write.
func (h *rig) script(name, text string) string {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// settings are those of a program that does nothing.
func (h *rig) settings(argv ...string) *Settings {
	s := newSettings()
	s.Argv, s.User, s.Processes = argv, someone(h.t), 4096
	return s
}

// step is a tool's step; with ids where there are any.
func (h *rig) step(s *Settings, ids ...string) signalbox.Step {
	h.t.Helper()
	s.Validate(func(path, rule string, value any) { h.t.Fatalf("%s %s, got %v", path, rule, value) })
	raw, err := resolve(kind.SpecInput{Name: "replay", Backend: "command", Settings: s, ConfigDir: h.dir})
	if err != nil {
		h.t.Fatal(err)
	}
	step := signalbox.Step{Kind: "command", Name: "replay", Spec: raw, Tool: true, Items: ids}
	if len(ids) > 0 {
		step.Most = 10
	}
	return step
}

// action previews a step and makes the action that its intent would be.
func (h *rig) action(id string, s signalbox.Step) signalbox.Action {
	h.t.Helper()
	f, err := h.r.Preview(h.t.Context(), s)
	if err != nil || f.Refused != "" {
		h.t.Fatalf("preview: %v, %s", err, f.Refused)
	}
	h.ids = append(h.ids, id)
	return signalbox.Action{ID: signalbox.ActionID(id), Incident: "i", Step: s, Forecast: f, Stage: signalbox.Claimed, ClaimedAt: h.clock}
}

// start starts an action that must start.
func (h *rig) start(a signalbox.Action) {
	h.t.Helper()
	if _, err := h.r.Start(h.t.Context(), a); err != nil {
		h.t.Fatal(err)
	}
}

// probe asks how far an action has come.
func (h *rig) probe(a signalbox.Action) signalbox.Progress {
	h.t.Helper()
	p, err := h.r.Probe(h.t.Context(), a)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// over waits until an action runs no longer.
func (h *rig) over(a signalbox.Action) signalbox.Progress {
	h.t.Helper()
	var p signalbox.Progress
	h.eventually("the end of "+string(a.ID), func() bool { p = h.probe(a); return p.Phase != signalbox.Running })
	return p
}

func (h *rig) eventually(what string, ok func() bool) {
	h.t.Helper()
	over := time.After(patience)
	for !ok() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-over:
			h.t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func (h *rig) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(h.dir, name))
	return string(b)
}

// runDaemon starts an action that it is given, and waits to be killed.
func runDaemon(dir, text string) {
	var a signalbox.Action
	err := json.Unmarshal([]byte(text), &a)
	var r signalbox.Remediator
	if err == nil {
		r, err = open(kind.Env{Now: time.Now, AllowCommands: true, Commands: dir})
	}
	if err == nil {
		_, err = r.Start(context.Background(), a)
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("started")
	select {}
}

func has(text string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}
