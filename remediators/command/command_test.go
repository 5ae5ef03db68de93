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
	"time"

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
	s.Timeout = s.Timeout / 300 // 1s
	a := h.action("a", h.step(s))
	h.start(a)
	if p := h.over(a); p.Phase != signalbox.Fell || p.Receipt.At.IsZero() || !has(p.Reason, "killed at its time limit of 1s", "\non it") {
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
	if p := h.probe(shut); p.Phase != signalbox.NotStarted || !p.Receipt.At.IsZero() {
		t.Errorf("got %+v", p)
	}
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

// A secret of the environment stands in nothing that is told or kept, and neither
// does the daemon's own.
func TestSecretsAreNotTold(t *testing.T) {
	t.Setenv("PAGER_TOKEN", "canary-of-the-daemon")
	h := newRig(t)
	if err := os.WriteFile(filepath.Join(h.dir, "token"), []byte("canary-of-the-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{"0", "1"} {
		s := h.settings(h.script("say", `case $PSP_KEY in canary*file) echo given;; esac; env; echo "I use $PSP_KEY"; exit $CODE`))
		s.Env, s.EnvFiles = map[string]string{"CODE": code}, map[string]string{"PSP_KEY": "token"}
		a := h.action("a"+code, h.step(s))
		receipt, err := h.r.Start(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		p := h.over(a)
		told, err := json.Marshal([]any{a, receipt, p})
		if err != nil {
			t.Fatal(err)
		}
		if !has(string(told), "given", "I use …") || strings.Contains(string(told), "canary") {
			t.Errorf("exit code %s: %s", code, told)
		}
	}
	files, _ := filepath.Glob(h.data + "/*")
	if len(files) < 7 {
		t.Fatalf("got %q", files)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err != nil || strings.Contains(string(b), "canary-of") {
			t.Errorf("%s: %v %s", f, err, b)
		}
	}
	if err := os.WriteFile(filepath.Join(h.dir, "token"), []byte("canary\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := h.settings("/bin/true")
	s.EnvFiles = map[string]string{"PSP_KEY": "token"}
	if f, err := h.r.Preview(t.Context(), h.step(s)); err != nil || !has(f.Refused, "env_files.PSP_KEY", "zero byte") || strings.Contains(f.Refused, "canary\x00") {
		t.Errorf("got %+v, %v", f, err)
	}
}

// Without --allow-commands nothing is previewed or begun, and what was begun
// before is still followed.
func TestOffByDefault(t *testing.T) {
	t.Parallel()
	h := newRig(t)
	a := h.action("a", h.step(h.settings(h.script("touch", "touch "+h.dir+"/ran"))))
	off := h.open(false)
	if f, err := off.Preview(t.Context(), a.Step); err != nil || !has(f.Refused, "--allow-commands") {
		t.Errorf("got %+v, %v", f, err)
	}
	if _, err := off.Start(t.Context(), a); !isFailure(err) || !has(err.Error(), "--allow-commands") {
		t.Errorf("got %v", err)
	}
	if fileIs(h.dir + "/ran") {
		t.Error("it ran")
	}
	h.start(a)
	h.over(a)
	if p, err := off.Probe(t.Context(), a); err != nil || p.Phase != signalbox.Succeeded {
		t.Errorf("got %+v, %v", p, err)
	}
}

// What somebody else could change is not run.
func TestPreviewRefuses(t *testing.T) {
	t.Parallel()
	h := newRig(t)
	good := h.script("good", "true")
	others := h.script("others", "true")
	data := filepath.Join(h.dir, "data")
	open := filepath.Join(h.dir, "open")
	err := errors.Join(os.Chmod(others, 0o777), os.WriteFile(data, nil, 0o600), os.Mkdir(open, 0o777), os.Chmod(open, 0o777),
		os.Symlink(others, filepath.Join(h.dir, "link")), os.Symlink("loop", filepath.Join(h.dir, "loop")), os.Symlink("/bin/sh", filepath.Join(h.dir, "innocent")),
		os.WriteFile(filepath.Join(open, "inside"), nil, 0o755))
	if err != nil {
		t.Fatal(err)
	}
	foreign := h.script("foreign", "true")
	_, mayGive := os.Chown(foreign, 65534, 65534), os.Geteuid() == 0
	for name, c := range map[string]struct {
		change func(*Settings)
		want   string
	}{
		"good":                        {func(*Settings) {}, ""},
		"a script that is good":       {func(s *Settings) { s.Argv = []string{"/bin/sh", "good"} }, ""},
		"an argument that is no file": {func(s *Settings) { s.Argv = []string{good, "restart"} }, ""},
		"not there":                   {func(s *Settings) { s.Argv = []string{h.dir + "/absent"} }, "is not there"},
		"others may write it":         {func(s *Settings) { s.Argv = []string{others} }, "chmod go-w"},
		"through a link":              {func(s *Settings) { s.Argv = []string{h.dir + "/link"} }, "chmod go-w"},
		"a loop of links":             {func(s *Settings) { s.Argv = []string{h.dir + "/loop"} }, "too many links"},
		"in an open directory":        {func(s *Settings) { s.Argv = []string{open + "/inside"} }, open + " may be written by others"},
		"not executable":              {func(s *Settings) { s.Argv = []string{data} }, "is not executable"},
		"a directory":                 {func(s *Settings) { s.Argv = []string{"/usr"} }, "is not a regular file"},
		"a script of others":          {func(s *Settings) { s.Argv = []string{"/bin/sh", "-e", "others"} }, "chmod go-w"},
		"no script":                   {func(s *Settings) { s.Argv = []string{"/bin/sh", "absent"} }, "is not there"},
		"a shell by a link":           {func(s *Settings) { s.Argv = []string{h.dir + "/innocent", "-c", "id"} }, "must not have a shell"},
		"no user":                     {func(s *Settings) { s.User = "signalbox-absent" }, "there must be a user signalbox-absent"},
		"no group":                    {func(s *Settings) { s.Group = "signalbox-absent" }, "there must be a group signalbox-absent"},
		"no directory":                {func(s *Settings) { s.Dir = h.dir + "/absent" }, "dir:"},
		"no value":                    {func(s *Settings) { s.EnvFiles = map[string]string{"TOKEN": "absent"} }, "env_files.TOKEN"},
		"a user's own program":        {func(s *Settings) { s.Argv = []string{foreign} }, "belongs to user 65534"},
	} {
		if name == "a user's own program" && !mayGive {
			continue
		}
		s := h.settings(good)
		s.Dir = h.dir
		c.change(s)
		f, err := h.r.Preview(t.Context(), h.step(s))
		if err != nil || (c.want == "") != (f.Refused == "") || !strings.Contains(f.Refused, c.want) {
			t.Errorf("%s: got %q, %v, want %q", name, f.Refused, err, c.want)
		}
	}
}

// As another user only who may become one runs anything, and says what is missing.
func TestWithoutTheRightToChangeUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		asOther(t, 64323)
		return
	}
	h := newRig(t)
	s := newSettings()
	s.Argv, s.User = []string{"/bin/true"}, "nobody"
	if f, err := h.r.Preview(t.Context(), h.step(s)); err != nil || !has(f.Refused, "as user nobody", "CAP_SETUID") {
		t.Errorf("got %+v, %v", f, err)
	}
}

// A run that begins where no PATH or locale of the daemon's counts still knows its
// action's id.
func TestKnowsItsAction(t *testing.T) {
	t.Parallel()
	h := newRig(t)
	a := h.action("i-77", h.step(h.settings(h.script("id", `echo "$SIGNALBOX_ACTION_ID $PATH ${HOME-none}"`))))
	h.start(a)
	if p := h.over(a); !strings.HasSuffix(p.Receipt.Detail, "\ni-77 /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin none") {
		t.Errorf("got %+v", p)
	}
	if d := h.probe(a).Receipt.At; d.After(time.Now().Add(time.Minute)) {
		t.Errorf("got %v", d)
	}
}
