//go:build linux

package runner

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Each argument arrives as it is: nothing reads it but the program.
func TestArgumentsAreLiteral(t *testing.T) {
	t.Parallel()
	args := []string{"; touch /tmp/x", "$(id)", "`id`", "a\nb", "--flag=*", "", "' \"", "%s\\n", "é"}
	got := output(t, plain("a", append([]string{"/usr/bin/printf", `[%s]\n`}, args...)...))
	var want strings.Builder
	for _, a := range args {
		fmt.Fprintf(&want, "[%s]\n", a)
	}
	if got != want.String() {
		t.Errorf("got %q, want %q", got, want.String())
	}
}

// The program has the environment that its order lists, and nothing to read.
func TestEnvironmentIsCleared(t *testing.T) {
	t.Setenv("PAGER_TOKEN", "hunter2hunter2")
	secret := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(secret, []byte("s3cr3t-of-the-psp\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := plain("i-1", "/bin/sh", "-c", `env | sort; case $PSP_TOKEN in s3cr3t*the-psp) echo given;; esac; cat; ls /proc/self/fd | tr '\n' ' '`)
	o.Env, o.EnvFiles = map[string]string{"REGION": "eu"}, map[string]string{"PSP_TOKEN": secret}
	d := newDir(t)
	start(t, d, o)
	e := ended(t, d, o.ID)
	lines := strings.Split(e.Output, "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "_=") || strings.HasPrefix(l, "PWD=") }) // the shell's own
	want := []string{"PATH=" + fixedPath, "PSP_TOKEN=…", "REGION=eu", "SIGNALBOX_ACTION_ID=i-1", "given", "0 1 2 3 "}
	if !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
	kept, err := filepath.Glob(string(d) + "/*")
	if err != nil || len(kept) < 4 {
		t.Fatalf("files: %q, %v", kept, err)
	}
	for _, f := range kept {
		if contains(f, "s3cr3t-of-the-psp") || contains(f, "hunter2") {
			t.Errorf("%s holds a secret", f)
		}
	}
}

// It runs as its own user, alone in its groups, and can become nobody else.
func TestRunsAsItsUser(t *testing.T) {
	t.Parallel()
	u := other()
	if u == nil {
		t.Skip("LOUD: not root here: the change of user is NOT tested")
	}
	got := output(t, plain("u", "/bin/sh", "-c", `id -u; id -g; id -G; grep -E '^(Cap(Inh|Prm|Eff|Amb)|NoNewPrivs|Groups)' /proc/self/status; umask; cat /proc/1/environ`+" >/dev/null 2>&1 || echo shut"))
	want := fmt.Sprintf("%d\n%d\n%d\n", u.UID, u.GID, u.GID)
	if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "\n0077\nshut\n") {
		t.Errorf("got %s", got)
	}
	for _, line := range strings.Split(got, "\n") {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case strings.HasPrefix(name, "Cap") && value != "0000000000000000",
			name == "NoNewPrivs" && value != "1", name == "Groups" && value != "":
			t.Errorf("got %s", line)
		}
	}
	if !strings.Contains(got, "NoNewPrivs") || !strings.Contains(got, "CapAmb") {
		t.Errorf("got %s", got)
	}
}

// As root nothing is run, whatever the order says.
func TestNeverAsRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("LOUD: not root here: that nothing runs as root is NOT tested")
	}
	d, mark := newDir(t), filepath.Join(shared(t), "ran")
	o := plain("r", "/usr/bin/touch", mark)
	o.User = &User{}
	start(t, d, o)
	eventually(t, "its end", func() bool { return look(t, d, "r").State == Never })
	if _, err := os.Stat(mark); err == nil || !strings.Contains(look(t, d, "r").End.Never, "never run as root") {
		t.Errorf("got %+v, %v", look(t, d, "r"), err)
	}
}

// At the time limit all its processes are killed: those of its group, and one that
// left it for a session of its own.
func TestTimeLimitEndsAllItsProcesses(t *testing.T) {
	t.Parallel()
	d, dir := newDir(t), shared(t)
	o := plain("t", "/bin/sh", "-c", `
		trap '' TERM HUP INT
		sh -c 'echo $$ > `+dir+`/child; exec sleep 1000' &
		setsid sh -c 'echo $$ > `+dir+`/escaped; exec sleep 1000' &
		setsid sh -c '(setsid sh -c "echo \$\$ > `+dir+`/orphan; exec sleep 1000" &) ; exit' &
		echo $$ > `+dir+`/first
		while :; do sleep 1; done`)
	o.Timeout = 20 * time.Second // in which all of them begin on a busy machine too
	start(t, d, o)
	e := ended(t, d, "t")
	if !e.TimedOut || e.Signal != "SIGKILL" {
		t.Errorf("got %+v", e)
	}
	for _, name := range []string{"first", "child", "escaped", "orphan"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		pid, convErr := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || convErr != nil {
			t.Fatalf("%s did not begin in time: %v", name, err)
		}
		if alive(pid) {
			t.Errorf("%s (%d) lives on", name, pid)
		}
	}
}

// What a program leaves behind ends with it.
func TestWhatIsLeftBehindEnds(t *testing.T) {
	t.Parallel()
	d, dir := newDir(t), shared(t)
	start(t, d, plain("l", "/bin/sh", "-c", `setsid sh -c 'echo $$ > `+dir+`/left; exec sleep 1000' & while [ ! -s `+dir+`/left ]; do :; done; echo done`))
	e := ended(t, d, "l")
	text, _ := os.ReadFile(filepath.Join(dir, "left"))
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || alive(pid) {
		t.Errorf("%s lives on: %v", text, err)
	}
	if e.Code != 0 || !e.Left || e.TimedOut || e.Output != "done\n" {
		t.Errorf("got %+v", e)
	}
}

// Each limit holds. The same program passes where the limit is wide.
func TestLimits(t *testing.T) {
	t.Parallel()
	dir := shared(t)
	for _, c := range []struct {
		name, script string
		narrow       func(*Order)
	}{
		{"memory", `$x = "x" x (300 << 20); print length $x`, func(o *Order) { o.Limits.Memory = 100 << 20 }},
		{"cpu", `$t = (times)[0]; while ((times)[0] - $t < 2) {}`, func(o *Order) { o.Limits.CPU = time.Second }},
		{"file_size", `open my $f, ">", "` + dir + `/big$$" or die; print $f "x" x 300000; close $f or die`, func(o *Order) { o.Limits.FileSize = 1000 }},
		{"open_files", `for (1..30) { open my $f, "<", "/dev/null" or die "no: $!"; push @f, $f }`, func(o *Order) { o.Limits.OpenFiles = 20 }},
		{"core", `open my $f, "<", "/proc/self/limits"; while (<$f>) { die if /core file size +[^0 ]/ }`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDir(t)
			wide := plain("wide", "/usr/bin/perl", "-e", c.script)
			start(t, d, wide)
			if e := ended(t, d, "wide"); e.Code != 0 {
				t.Fatalf("where the limit is wide: %+v", e)
			}
			if c.narrow == nil {
				return
			}
			narrow := plain("narrow", "/usr/bin/perl", "-e", c.script)
			c.narrow(&narrow)
			start(t, d, narrow)
			if e := ended(t, d, "narrow"); e.Code == 0 || e.TimedOut {
				t.Errorf("the limit does not hold: %+v", e)
			}
		})
	}
}

// The limit of processes counts all that the user has, so it is tested with a user
// who has none.
func TestLimitOfProcesses(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("LOUD: not root here: the limit of processes is NOT tested")
	}
	script := `for (1..20) { my $p = fork(); die "no: $!" unless defined $p; if (!$p) { sleep 1000; exit } push @p, $p } kill 9, @p; print "all"`
	d := newDir(t)
	for id, n := range map[string]uint64{"wide": 100, "narrow": 10} {
		o := plain(id, "/usr/bin/perl", "-e", script)
		o.User = &User{UID: 64321, GID: 64321}
		if id == "narrow" {
			o.User.UID = 64322
		}
		o.Limits.Processes = n
		start(t, d, o)
		if e := ended(t, d, id); (e.Code == 0) != (id == "wide") || id == "narrow" && !strings.Contains(e.Output, "no: Resource temporarily unavailable") {
			t.Errorf("%s: got %+v", id, e)
		}
	}
}

// The end of the output is kept, whatever comes before it.
func TestOutputIsBounded(t *testing.T) {
	t.Parallel()
	d := newDir(t)
	start(t, d, plain("o", "/usr/bin/perl", "-e", `$| = 1; print "first\n"; print "x" x 99, "\n" for 1..50000; print STDERR "last\n"`))
	e := ended(t, d, "o")
	if e.Bytes != 5_000_011 || len(e.Output) > mostOutput || len(e.Output) < mostOutput/2 || !strings.HasSuffix(e.Output, "\nlast\n") || strings.Contains(e.Output, "first") {
		t.Errorf("got %d bytes of %d, %q…", len(e.Output), e.Bytes, e.Output[max(0, len(e.Output)-40):])
	}
}

// An id is run once, however often it is asked for, at once and later.
func TestAnIDIsRunOnce(t *testing.T) {
	t.Parallel()
	d, log := newDir(t), filepath.Join(shared(t), "log")
	o := plain("once", "/bin/sh", "-c", "echo ran >> "+log)
	errs := make(chan error)
	for range 8 {
		go func() { errs <- d.Start(o, time.Now(), open) }()
	}
	began := 0
	for range 8 {
		switch err := <-errs; {
		case err == nil:
			began++
		case !errors.Is(err, ErrKnown):
			t.Error(err)
		}
	}
	ended(t, d, "once")
	if err := d.Start(o, time.Now(), open); !errors.Is(err, ErrKnown) {
		t.Errorf("got %v, want ErrKnown", err)
	}
	text, _ := os.ReadFile(log)
	if began != 1 || string(text) != "ran\n" {
		t.Errorf("%d began, the program's own log has %q", began, text)
	}
}

// A gate that is shut, a program that is not there, a value that can't be read, a
// directory that is not there: it did not begin, and it is known.
func TestWhatNeverBegins(t *testing.T) {
	t.Parallel()
	d, dir := newDir(t), shared(t)
	touch := func(id string) Order { return plain(id, "/usr/bin/touch", filepath.Join(dir, id)) }
	if err := d.Start(touch("gate"), time.Now(), func() error { return errShut }); !errors.Is(err, errShut) {
		t.Errorf("got %v", err)
	}
	gone := plain("gone", filepath.Join(dir, "gone"))
	start(t, d, gone)
	value := touch("value")
	value.EnvFiles = map[string]string{"TOKEN": filepath.Join(dir, "absent")}
	start(t, d, value)
	where := touch("where")
	where.Dir = filepath.Join(dir, "absent")
	start(t, d, where)
	for id, why := range map[string]string{"gate": "nobody began it", "gone": "no such file", "value": "env_files.TOKEN", "where": "chdir"} {
		eventually(t, id, func() bool { return look(t, d, id).State == Never })
		if s := look(t, d, id); !strings.Contains(s.End.Never, why) {
			t.Errorf("%s: got %+v", id, s)
		}
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Errorf("something ran: %v", list)
	}
}

// A runner that comes late begins nothing: its daemon was stopped after its last
// check, and a successor has looked meanwhile.
func TestLateRunnerBeginsNothing(t *testing.T) {
	t.Parallel()
	d, mark := newDir(t), filepath.Join(shared(t), "ran")
	o := plain("late", "/usr/bin/touch", mark)
	o.StartBy = bootTime() - time.Second
	runByHand(t, d, o)
	s := look(t, d, "late")
	if _, err := os.Stat(mark); err == nil || s.State != Never || !strings.Contains(s.End.Never, "at the latest") {
		t.Errorf("got %+v, %v", s, err)
	}
	// In time the same way of running it runs it.
	o.ID, o.StartBy = "early", bootTime()+startWithin
	runByHand(t, d, o)
	if _, err := os.Stat(mark); err != nil || look(t, d, "early").State != Ended {
		t.Errorf("got %+v, %v", look(t, d, "early"), err)
	}
}

// runByHand is what Start does after its gate.
func runByHand(t *testing.T, d Dir, o Order) {
	t.Helper()
	text := fmt.Sprintf(`{"id": %q, "argv": [%q, %q], "dir": "/", "timeout_ns": 60000000000, "start_by_ns": %d, "limits": {"memory": 1073741824, "cpu_ns": 60000000000, "file_size": 1000, "open_files": 64, "processes": 4096}`, o.ID, o.Argv[0], o.Argv[1], o.StartBy)
	if o.User != nil {
		text += fmt.Sprintf(`, "user": {"uid": %d, "gid": %d}`, o.User.UID, o.User.GID)
	}
	path := d.path(name(o.ID) + orderFile)
	if err := os.WriteFile(path, []byte(text+"}"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // where it fails before
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, Command, runWord, string(d), name(o.ID))
	cmd.ExtraFiles = []*os.File{f}
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	// A process that another test is just making has the lock until it becomes its program.
	eventually(t, "the lock to be free", func() bool { return look(t, d, o.ID).State != Running })
}
