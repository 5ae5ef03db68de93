package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// process is the real binary, running on dir/config and dir/data.
type process struct {
	dir      string
	cmd      *exec.Cmd
	control  string // URL
	webhooks string // URL of the receiver
}

// build makes the binary in a directory.
func build(b *testing.B, dir string) (program string) {
	b.Helper()
	program = filepath.Join(dir, "signalbox")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", program, "../cmd/signalbox").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return program
}

// launch builds the binary and runs it, until the benchmark ends.
func launch(b *testing.B, dir string) *process {
	b.Helper()
	p := run(b, build(b, dir), dir)
	b.Cleanup(func() { p.end(b) })
	return p
}

// run starts the binary, and waits for nothing.
func run(b *testing.B, program, dir string) *process {
	b.Helper()
	ports := [2]int{freePort(b), freePort(b)}
	p := &process{dir: dir, control: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), webhooks: fmt.Sprintf("http://127.0.0.1:%d%s", ports[1], path)}
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(program, "--config", filepath.Join(dir, "config"), "--data", filepath.Join(dir, "data"), "--replica", "bench",
		"--web.listen-address", fmt.Sprintf("127.0.0.1:%d", ports[0]), "--webhooks.listen-address", fmt.Sprintf("127.0.0.1:%d", ports[1]))
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return p
}

func (p *process) ready(b *testing.B) {
	b.Helper()
	eventually(b, "the daemon is ready", func() bool { return answers(b, p.control+"/-/ready") })
}

// end stops the daemon in good order.
func (p *process) end(b *testing.B) {
	b.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		b.Errorf("the daemon ended: %v: %s", err, p.said())
	}
}

// said is the end of the daemon's log.
func (p *process) said() []byte {
	log, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	return log[max(0, len(log)-4000):]
}

// resident is the most memory that a process had at once, in MB.
func resident(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, most, _ := strings.Cut(string(status), "VmHWM:")
	most, _, _ = strings.Cut(most, "kB")
	kB, err := strconv.ParseFloat(strings.TrimSpace(most), 64)
	if err != nil {
		b.Fatal(err)
	}
	return kB * 1024 / 1e6
}

// spent is the processor time that a process has taken, in seconds.
func spent(b *testing.B, pid int) float64 {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(stat), ") ") // of the name
	ticks := 0
	for _, field := range strings.Fields(after)[11:13] { // utime and stime, in hundredths
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return float64(ticks) / 100
}

// member is the process of the daemon's store.
func (p *process) member(b *testing.B) int {
	b.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	for _, task := range tasks {
		children, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that ended
		}
		for _, child := range strings.Fields(string(children)) {
			pid, err := strconv.Atoi(child)
			if err != nil {
				b.Fatal(err)
			}
			return pid
		}
	}
	b.Fatal("the daemon's store has no process")
	return 0
}
