package remediators_test

import (
	"bytes"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/runner"
)

// TestMain lets the test binary be the runner of programs, as the daemon's is. It
// comes by the door of its check first.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == runner.Command {
		os.Exit(comesBy(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// hostDoor stands between the daemon and the programs that it has begun on this
// host: between its own process and the runner's. What the runner is to meet
// stands in files, as does what came by. The program's end is on record, and no
// answer, so that what can go wrong is that the runner is killed.
type hostDoor struct {
	b       *bench
	records string // the directory of records
	place   string // where the program writes
	held    bool
}

// patience bounds each wait for a program; no check passes by reaching it.
const patience = 2 * time.Minute

// The files of a door, each with the number of the write; and of a program.
const (
	cameFile    = "came"
	meetFile    = "meet-"
	holdFile    = "hold-"
	reachedFile = "reached-"
	goFile      = "go-"
	ranFile     = "ran"
	lingerFile  = "linger" // the program does not end while it is there
)

func doorOf(records string) string { return records + ".door" }

// comesBy is a process of the runner.
func comesBy(args []string) int {
	if len(args) != 3 {
		return runner.Main(args) // the program's own process
	}
	door := doorOf(args[1])
	came, err := os.OpenFile(filepath.Join(door, cameFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = came.WriteString("begun\n")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_ = came.Close()
	n := strconv.Itoa(lines(filepath.Join(door, cameFile)))
	if isThereFile(filepath.Join(door, holdFile+n)) {
		_ = os.WriteFile(filepath.Join(door, reachedFile+n), nil, 0o600)
		until(func() bool { return isThereFile(filepath.Join(door, goFile+n)) })
	}
	fate, err := os.ReadFile(filepath.Join(door, meetFile+n))
	switch {
	case err != nil:
	case len(fate) == 0: // before the effect
		return 1
	default:
		go func() {
			until(func() bool { return lines(string(fate)) > 0 })
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}()
	}
	return runner.Main(args)
}

func isThereFile(path string) bool { _, err := os.Stat(path); return err == nil }

func lines(path string) int {
	text, _ := os.ReadFile(path)
	return bytes.Count(text, []byte("\n"))
}

// until waits for what another process does; false: it did not.
func until(ok func() bool) bool {
	over := time.After(patience)
	for !ok() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-over:
			return false
		}
	}
	return true
}

func (d *hostDoor) at(name string) string { return filepath.Join(doorOf(d.records), name) }
func (d *hostDoor) ran() string           { return filepath.Join(d.place, ranFile) }

// can: there is no answer that a status could be of.
func (d *hostDoor) can(f fault) bool { return f.code == 0 }

// meet: what can't be read is the directory of records; and a runner is killed
// before it begins the program, or when that has done its work.
func (d *hostDoor) meet(n int, f fault) {
	d.b.t.Helper()
	if n == 0 {
		d.b.must(os.Rename(d.records, d.records+".away"))
		return
	}
	fate := ""
	if f.after {
		fate = d.ran()
		d.b.must(os.WriteFile(filepath.Join(d.place, lingerFile), nil, 0o600))
	}
	d.b.must(os.WriteFile(d.at(meetFile+strconv.Itoa(n)), []byte(fate), 0o600))
}

func (d *hostDoor) mend() {
	_ = os.Rename(d.records+".away", d.records)
	list, _ := filepath.Glob(d.at(meetFile + "*"))
	for _, file := range list {
		_ = os.Remove(file)
	}
}

func (d *hostDoor) hold(n int) (<-chan struct{}, func()) {
	d.b.must(os.WriteFile(d.at(holdFile+strconv.Itoa(n)), nil, 0o600))
	d.held = true
	reached := make(chan struct{})
	go func() {
		until(func() bool { return isThereFile(d.at(reachedFile + strconv.Itoa(n))) })
		close(reached)
	}()
	return reached, func() {
		d.b.must(os.WriteFile(d.at(goFile+strconv.Itoa(n)), nil, 0o600))
		d.held = false
		d.settled()
	}
}

// settled waits until nobody is left who may still begin a program, or follows
// one; but for what is held.
func (d *hostDoor) settled() {
	d.b.t.Helper()
	if d.held {
		return
	}
	for _, a := range []signalbox.ActionID{firstAction, firstAction + "-b"} {
		over := until(func() bool {
			s, err := runner.Dir(d.records).Look(string(a))
			return err == nil && s.State != runner.Running
		})
		if !over {
			d.b.t.Fatalf("%s does not come to its end", a)
		}
	}
}

// asked is what has come by so far: it is asked also while a start is under way.
func (d *hostDoor) asked() []bool {
	list := make([]bool, lines(d.at(cameFile)))
	for i := range list {
		list[i] = true
	}
	return list
}

func (d *hostDoor) forget() { _ = os.Remove(d.at(cameFile)) }

// record is what was begun, and what the programs wrote.
func (d *hostDoor) record() []string {
	d.settled()
	list, _ := filepath.Glob(filepath.Join(d.records, "*.begun"))
	text, _ := os.ReadFile(d.ran())
	return append(list, strings.Fields(string(text))...)
}

func commandEntries() []entry {
	without := none("what a program did is not taken back, and it has no positions", "undo", "positions")
	without["done"] = "where its runner was killed nobody saw its end: it is in doubt, and not run again"
	return []entry{{kind: "command", key: "command", class: signalbox.ClassC, build: onThisHost, apart: true, without: without}}
}

// onThisHost is a program that writes a line each time it is run, and says what it
// should not.
func onThisHost(b *bench) {
	if runtime.GOOS != "linux" {
		b.t.Skip("SKIPPED: programs are run on Linux only")
	}
	dir, err := os.MkdirTemp("", "signalbox-suite-") // b.dir is not for others to reach
	b.must(err)
	b.must(os.Chmod(dir, 0o777|os.ModeSticky))
	d := &hostDoor{b: b, records: b.commands(), place: dir}
	b.must(runner.Dir(d.records).Prepare(b.clock()))
	b.must(os.MkdirAll(doorOf(d.records), 0o700))
	b.t.Cleanup(func() {
		_ = os.Remove(filepath.Join(dir, lingerFile))
		d.mend()
		d.held = false
		d.settled()
		_ = os.RemoveAll(dir)
	})
	script := filepath.Join(dir, "replay.sh")
	b.must(os.WriteFile(script, []byte(fmt.Sprintf("#!/bin/sh\necho \"key $PSP_KEY of $*\"\necho \"$SIGNALBOX_ACTION_ID\" >>%s/%s\nwhile [ -e %s/%s ]; do sleep 0.02; done\n", dir, ranFile, dir, lingerFile)), 0o600))
	b.must(os.Chmod(script, 0o755))
	b.secret("secrets/psp", "hunter2-psp-key")
	b.items = []string{"evt_1", "evt_2"}
	b.blocks = fmt.Sprintf(`tools: {replay: {command: {argv: [%s, "--event-id", "{{item}}"], item_pattern: "evt_[0-9]", user: %s, processes: 4096, env_files: {PSP_KEY: secrets/psp}}}}`, script, someone(b))
	b.step = "{command: replay, items: {most: 2, pace: 100/hour}}"
	b.door = d
	b.record = d.record
	b.effects = func() int { d.settled(); return lines(d.ran()) }
	b.moves = d.settled
}

// someone is the name of a user as whom programs may be run.
func someone(b *bench) string {
	if os.Geteuid() == 0 {
		return "nobody"
	}
	u, err := user.Current()
	if err != nil {
		b.t.Skip("SKIPPED: this user has no name:", err)
	}
	return u.Username
}
