package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	runWord  = "run"
	execWord = "exec"
	// fixedPath is the PATH of every program.
	fixedPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	// mostOutput is how many bytes of the end of the output are kept.
	mostOutput = 64 << 10
	// saveFor is how long the end is tried to be written, on a disk that is full.
	saveFor = 10 * time.Minute
)

// Main is what the processes of this package do; it returns the exit code.
//
//	if len(os.Args) > 1 && os.Args[1] == runner.Command {
//		os.Exit(runner.Main(os.Args[2:]))
//	}
func Main(args []string) int {
	// A limit is the thread's parent's death, and credentials are a thread's too.
	runtime.LockOSThread()
	switch {
	case len(args) == 3 && args[0] == runWord:
		return run(Dir(args[1]), args[2])
	case len(args) == 1 && args[0] == execWord:
		return become()
	}
	return 2
}

// run is the runner: it holds the lock until it ends.
func run(d Dir, n string) int {
	// What ends the daemon does not end what it began: these are taken, and lost.
	// They are not ignored, which the program would inherit.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	unix.Umask(0o077)
	order := os.NewFile(3, "order")
	unix.CloseOnExec(3)
	r := &follow{dir: d, name: n}
	_, err := order.Seek(0, io.SeekStart) // the daemon has just written it
	if err == nil {
		err = readJSON(order, &r.Order)
	}
	if err != nil || name(r.ID) != n {
		return 1 // not begun: nobody else will
	}
	end := r.work()
	end.At = now()
	if !r.save(end) {
		return 1
	}
	runtime.KeepAlive(order) // and with it the lock
	return 0
}

// follow is one run.
type follow struct {
	Order
	dir     Dir
	name    string
	secrets []string
}

// work runs the program to its end.
func (r *follow) work() End {
	never := func(format string, args ...any) End { return End{Code: -1, Never: fmt.Sprintf(format, args...)} }
	if late := bootTime() - r.StartBy; late > 0 {
		return never("it was to begin %s ago at the latest", late.Round(time.Millisecond))
	}
	env, err := r.environment()
	if err != nil {
		return never("%v", err)
	}
	// What its processes leave behind becomes ours, and is found and ended.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return never("its processes can't be followed: %v", err)
	}
	p, err := r.spawn()
	if err != nil {
		return never("%v", err)
	}
	begun := Begun{PID: p.pid, At: now(), Ends: now().Add(r.Timeout)}
	text, err := json.Marshal(begun)
	if err == nil {
		err = r.dir.link(r.name+begunFile, text, nil)
	}
	if late := bootTime() - r.StartBy; err == nil && late > 0 {
		err = fmt.Errorf("it was to begin %s ago at the latest", late.Round(time.Millisecond))
	}
	if err == nil {
		err = p.release(task{Argv: r.Argv, Env: env, Dir: r.Dir, User: r.User, Limits: r.Limits, Parent: os.Getpid()})
	}
	if err != nil { // it has become nothing yet, and does not
		p.killAll(p.exits())
		return never("%v", err)
	}
	return p.await(r.Timeout, r.secrets)
}

// environment is all that the program is given.
func (r *follow) environment() ([]string, error) {
	env := []string{"PATH=" + fixedPath, "SIGNALBOX_ACTION_ID=" + r.ID}
	for k, v := range r.Env {
		env = append(env, k+"="+v)
	}
	for k, path := range r.EnvFiles {
		v, err := ReadValue(path)
		if err != nil {
			return nil, fmt.Errorf("env_files.%s: %w", k, err)
		}
		env = append(env, k+"="+v)
		r.secrets = append(r.secrets, v)
	}
	return env, nil
}

// process is the program's first process, and those that come of it.
type process struct {
	pid    int
	params *os.File // what it is to become
	status *os.File // why it could not; closed by exec
	output *tail
}

// spawn begins the process that will become the program, once it is released.
func (r *follow) spawn() (*process, error) {
	var files []*os.File
	pipe := func() (in, out *os.File, err error) {
		in, out, err = os.Pipe()
		files = append(files, in, out)
		return in, out, err
	}
	pr, pw, err1 := pipe()
	sr, sw, err2 := pipe()
	or, ow, err3 := pipe()
	err := errors.Join(err1, err2, err3)
	cmd := exec.Command(self, Command, execWord)
	if err == nil {
		cmd.Args[0] = "signalbox"
		cmd.Dir = "/"
		cmd.Env = []string{}
		cmd.Stdout, cmd.Stderr = ow, ow
		cmd.ExtraFiles = []*os.File{pr, sw}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		err = cmd.Start()
	}
	if err != nil {
		for _, f := range files {
			f.Close()
		}
		return nil, fmt.Errorf("no process can be begun: %w", err)
	}
	for _, f := range []*os.File{pr, sw, ow} {
		f.Close()
	}
	p := &process{pid: cmd.Process.Pid, params: pw, status: sr, output: &tail{done: make(chan struct{})}}
	go p.output.read(or)
	return p, nil
}

// release lets it become the program.
func (p *process) release(t task) error {
	err := json.NewEncoder(p.params).Encode(t)
	return errors.Join(err, p.params.Close())
}

// await follows the program to the end of all its processes.
func (p *process) await(timeout time.Duration, secrets []string) End {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	why := make(chan string, 1)
	go func() { // ends where it becomes the program, or ends
		text, _ := io.ReadAll(io.LimitReader(p.status, 4<<10))
		why <- string(text)
	}()
	var end End
	e := p.exits()
	select {
	case end = <-e.first:
		end.Left = len(children(os.Getpid())) > 0
		p.killAll(e)
	case <-timer.C:
		p.killAll(e)
		end = <-e.first
		end.TimedOut = true
	}
	end.Never = <-why
	end.Bytes, end.Output = p.output.end(secrets)
	return end
}

// save writes the end; without it nobody knows that there was one.
func (r *follow) save(end End) bool {
	text, err := json.Marshal(end)
	if err != nil {
		return false
	}
	again, over := time.NewTicker(time.Second), time.After(saveFor)
	defer again.Stop()
	for {
		if r.dir.rename(r.name+endFile, text) == nil {
			return true
		}
		select {
		case <-again.C:
		case <-over:
			return false
		}
	}
}

// tail keeps the end of what a program says. It reads on, whatever comes: a
// program whose output nobody takes would stand still.
type tail struct {
	text  []byte
	bytes int64
	done  chan struct{}
}

func (t *tail) read(f *os.File) {
	defer close(t.done)
	defer f.Close()
	part := make([]byte, 32<<10)
	for {
		n, err := f.Read(part)
		t.bytes += int64(n)
		t.text = append(t.text, part[:n]...)
		if over := len(t.text) - mostOutput; over > mostOutput {
			t.text = append(t.text[:0], t.text[over:]...)
		}
		if err != nil {
			return
		}
	}
}

// end is what is kept, without the values that came of files.
func (t *tail) end(secrets []string) (int64, string) {
	select {
	case <-t.done:
	case <-time.After(2 * time.Second): // who holds the pipe is no process of ours
		return 0, "its output can't be read to its end"
	}
	text := string(t.text)
	for _, s := range secrets {
		for _, part := range append([]string{s}, strings.Split(s, "\n")...) {
			if len(part) >= 4 {
				text = strings.ReplaceAll(text, part, "…")
			}
		}
	}
	if t.bytes > int64(len(t.text)) { // what is cut off at its beginning may be half a secret
		_, text, _ = strings.Cut(text, "\n")
	}
	if over := len(text) - mostOutput; over > 0 {
		_, text, _ = strings.Cut(text[over:], "\n")
	}
	return t.bytes, text
}

// now is the wall time, for people: nothing is decided by it.
func now() time.Time { return time.Now().UTC() }
