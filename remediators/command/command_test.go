//go:build linux

package command

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/runner"
)

// isFailure reports an error that says that there was surely no effect.
func isFailure(err error) bool {
	var f *signalbox.Failure
	return errors.As(err, &f)
}

// A script is run with its ids, each with the option before it, and what it said
// is kept.
func TestRun(t *testing.T) {
	t.Parallel()
	h := newRig(t)
	script := h.script("replay.sh", `for a; do echo "[$a]"; done; pwd; echo "as $(id -un)" >&2`)
	s := h.settings("/bin/sh", script, "--queued", "--event-id", "{{item}}", "--tag={{item}}")
	s.ItemPattern, s.Dir = "evt_.*", h.dir
	a := h.action("i-1", h.step(s, "evt_a; rm -rf /", "evt_$(id)", "evt_'\"*"))
	if f := a.Forecast; f.Class != signalbox.ClassC || !has(f.NeedsApproval, "3 ids") || !has(f.Reach, `'evt_a; rm -rf /'`, "as user "+someone(t), "at most 5m") || f.Undo != nil || f.Latency == 0 {
		t.Errorf("got %+v", f)
	}
	h.start(a)
	p := h.over(a)
	want := "[--queued]\n[--event-id]\n[evt_a; rm -rf /]\n[--event-id]\n[evt_$(id)]\n[--event-id]\n[evt_'\"*]\n[--tag=evt_a; rm -rf /]\n[--tag=evt_$(id)]\n[--tag=evt_'\"*]\n" + h.dir + "\nas " + someone(t)
	if p.Phase != signalbox.Succeeded || !strings.HasSuffix(p.Receipt.Detail, want) || !has(p.Receipt.Detail, "exit code 0") {
		t.Errorf("got %+v", p)
	}
}

// What is listed as a good exit code is one; another one is a failure whose ids are
// not given back.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	h := newRig(t)
	s := h.settings(h.script("three", "echo why; exit 3"))
	a := h.action("a", h.step(s))
	h.start(a)
	if p := h.over(a); p.Phase != signalbox.Fell || p.Receipt.At.IsZero() || !has(p.Reason, "exit code 3", "\nwhy") {
		t.Errorf("got %+v", p)
	}
	s.ExitCodes = []int{0, 3}
	a = h.action("b", h.step(s))
	h.start(a)
	if p := h.over(a); p.Phase != signalbox.Succeeded || !has(p.Receipt.Detail, "exit code 3") {
		t.Errorf("got %+v", p)
	}
}

// Past its time it is killed, and failed with what it said.
func TestTimeLimit(t *testing.T) {
	t.Parallel()
	h := newRig(t)
	s := h.settings(h.script("slow", "echo on it; exec sleep 1000"))
	s.Timeout = s.Timeout / 30 // 10s, in which the runner and the script begin on a busy machine too
	a := h.action("a", h.step(s))
	h.start(a)
	if p := h.over(a); p.Phase != signalbox.Fell || p.Receipt.At.IsZero() || !has(p.Reason, "killed at its time limit of 10s", "\non it") {
		t.Errorf("got %+v", p)
	}
}

// A preview writes nothing and begins nothing.
func TestPreviewDoesNothing(t *testing.T) {
	t.Parallel()
	h := newRig(t)
	list := func() string {
		var all []string
		for _, dir := range []string{h.data, h.dir} {
			_ = filepath.Walk(dir, func(path string, info os.FileInfo, _ error) error {
				all = append(all, path+" "+info.ModTime().String())
				return nil
			})
		}
		return strings.Join(all, "\n")
	}
	s := h.step(h.settings(h.script("touch", "touch "+h.dir+"/ran")))
	before := list()
	for range 3 {
		if f, err := h.r.Preview(t.Context(), s); err != nil || f.Refused != "" {
			t.Fatal(err, f.Refused)
		}
	}
	if after := list(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	a := h.action("a", s)
	h.start(a) // the same step does write, so the comparison sees it
	if p := h.over(a); p.Phase != signalbox.Succeeded || list() == before {
		t.Errorf("got %+v", p)
	}
}

// One action is run once, however often and from wherever it is started.
func TestStartTwiceRunsOnce(t *testing.T) {
	t.Parallel()
	h := newRig(t)
	a := h.action("a", h.step(h.settings(h.script("append", "echo ran >> "+h.dir+"/log; sleep 0.2"))))
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if r, err := h.open(true).Start(t.Context(), a); err != nil || !has(r.Detail, "begun") {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
	all.Wait()
	if p := h.over(a); p.Phase != signalbox.Succeeded {
		t.Errorf("got %+v", p)
	}
	if r, err := h.r.Start(t.Context(), a); err != nil || r.At.IsZero() {
		t.Errorf("once it is over: %+v, %v", r, err)
	}
	if log := h.read("log"); log != "ran\n" {
		t.Errorf("the program's own log: %q", log)
	}
}

// The daemon is killed between the send and the receipt: its successor finds it
// running, and then its end.
func TestDaemonDiesAfterTheSend(t *testing.T) {
	t.Parallel()
	h := newRig(t)
	a := h.action("a", h.step(h.settings(h.script("wait", "echo begun >> "+h.dir+"/log; while [ ! -e "+h.dir+"/go ]; do sleep 0.05; done; echo over >> "+h.dir+"/log"))))
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", daemonCommand, h.data, string(text))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "started\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	h.eventually("it to run", func() bool { return h.read("log") == "begun\n" })
	a.Stage = signalbox.Doubt
	if p := h.probe(a); p.Phase != signalbox.Running || !regexp.MustCompile(`kill -KILL -- -\d+$`).MatchString(p.Reason) {
		t.Errorf("got %+v", p)
	}
	if _, err := h.r.Start(t.Context(), a); err != nil { // the same id: it runs
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(h.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if p := h.over(a); p.Phase != signalbox.Succeeded {
		t.Errorf("got %+v", p)
	}
	if log := h.read("log"); log != "begun\nover\n" {
		t.Errorf("the program's own log: %q", log)
	}
}

// The runner is killed: how far it came is not known, and it is not run again.
func TestRunnerDies(t *testing.T) {
	t.Parallel()
	h := newRig(t)
	a := h.action("a", h.step(h.settings(h.script("wait", "echo $PPID >> "+h.dir+"/log; exec sleep 1000"))))
	h.start(a)
	h.eventually("it to run", func() bool { return strings.HasSuffix(h.read("log"), "\n") })
	if out, err := exec.Command("kill", "-KILL", strings.TrimSpace(h.read("log"))).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if p := h.over(a); p.Phase != signalbox.InDoubt || !has(p.Reason, "nobody saw its end", "not run again") {
		t.Errorf("got %+v", p)
	}
	a.Stage = signalbox.Doubt
	if _, err := h.r.Start(t.Context(), a); err == nil || isFailure(err) {
		t.Errorf("got %v, want a doubt", err)
	}
	if log := strings.Count(h.read("log"), "\n"); log != 1 {
		t.Errorf("it ran %d times", log)
	}
}

// What is not begun is known not to have been: a gate that is shut, an end of the
// time to start, a change since the preview.
func TestNotBegun(t *testing.T) {
	t.Parallel()
	h := newRig(t)
	path := h.script("touch", "touch "+h.dir+"/ran")
	step := h.step(h.settings(path))
	shut := h.action("shut", step)
	shut.Gate = func() error { return errors.New("killed by @sre-lead") }
	if _, err := h.r.Start(t.Context(), shut); !isFailure(err) || !has(err.Error(), "killed by @sre-lead") {
		t.Errorf("got %v", err)
	}
	// What another test begins in this moment has the lock too, until it is a program.
	h.eventually("that it was not begun", func() bool {
		p := h.probe(shut)
		return p.Phase == signalbox.NotStarted && p.Receipt.At.IsZero()
	})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.r.Start(over, h.action("over", step)); !isFailure(err) {
		t.Errorf("got %v", err)
	}
	if p := h.probe(h.action("unknown", step)); p.Phase != signalbox.NotStarted || !has(p.Reason, "there is no record") {
		t.Errorf("got %+v", p)
	}
	changed := h.action("changed", step)
	h.script("touch", "touch "+h.dir+"/ran; true")
	if _, err := h.r.Start(t.Context(), changed); !isFailure(err) || !has(err.Error(), "changed since the preview") {
		t.Errorf("got %v", err)
	}
	if fileIs(h.dir + "/ran") {
		t.Error("it ran")
	}
}

func fileIs(path string) bool { _, err := os.Stat(path); return err == nil }

// What is on record is of one host and one directory: elsewhere an action is in
// doubt, and is not begun.
func TestAnotherHost(t *testing.T) {
	t.Parallel()
	h, other := newRig(t), newRig(t)
	a := h.action("a", h.step(h.settings(h.script("touch", "touch "+h.dir+"/ran"))))
	if p := other.probe(a); p.Phase != signalbox.InDoubt || !has(p.Reason, a.Forecast.Version) {
		t.Errorf("got %+v", p)
	}
	if _, err := other.r.Start(t.Context(), a); !isFailure(err) || !has(err.Error(), "previewed on") {
		t.Errorf("got %v", err)
	}
	h.start(a)
	if p := h.over(a); p.Phase != signalbox.Succeeded {
		t.Errorf("got %+v", p)
	}
	h.clock = h.clock.Add(runner.Keep) // what was on record by then may have been cleared away
	unseen := a
	unseen.ID = "b"
	if p := h.probe(unseen); p.Phase != signalbox.InDoubt || !has(p.Reason, "kept for 32 days") {
		t.Errorf("got %+v", p)
	}
}

// Where nothing can be put on record nothing is begun.
func TestRecordsCanNotBeWritten(t *testing.T) {
	t.Parallel()
	h := newRig(t)
	a := h.action("a", h.step(h.settings(h.script("touch", "touch "+h.dir+"/ran"))))
	if os.Geteuid() == 0 { // whom no mode holds back
		asOther(t, 65534)
	} else {
		if err := os.Chmod(h.data, 0o500); err != nil {
			t.Fatal(err)
		}
		if _, err := h.r.Start(t.Context(), a); !isFailure(err) || !has(err.Error(), "can't be put on record", "permission denied") {
			t.Errorf("got %v", err)
		}
		if p := h.probe(a); p.Phase != signalbox.NotStarted {
			t.Errorf("got %+v", p)
		}
		if err := os.Chmod(h.data, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(h.data); err != nil {
		t.Fatal(err)
	}
	if _, err := h.r.Start(t.Context(), a); !isFailure(err) || !has(err.Error(), "directory of records") {
		t.Errorf("got %v", err)
	}
	if p := h.probe(a); p.Phase != signalbox.InDoubt { // it may have been there
		t.Errorf("got %+v", p)
	}
	if fileIs(h.dir + "/ran") {
		t.Error("it ran")
	}
}

// asOther runs the test again as another user.
func asOther(t *testing.T, uid uint32) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	cmd.Env, cmd.Dir = []string{"TMPDIR=/tmp"}, "/"
	if out, err := cmd.CombinedOutput(); err != nil || !has(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as user %d: %v\n%s", uid, err, out)
	}
}
