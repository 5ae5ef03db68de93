package faults

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/signalbox/signalbox/test/servers"
)

// smallDisk mounts a file system of its own for a cell's data; it needs root.
func (r *run) smallDisk() string {
	r.t.Helper()
	dir := r.t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=300m"); err != nil {
		r.t.Fatalf("a full disk needs a small tmpfs, and root to mount it: %v", err)
	}
	r.t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// diskFull fills the disk under the store while alerts come in, and makes room
// again.
func diskFull(r *run, v variant, n int) outcome {
	disk := r.smallDisk()
	c := newCell(r.t, r.binary, r.health, plan{data: filepath.Join(disk, "data"), latency: v.latency})
	c.start("")
	c.sees()
	ballast := filepath.Join(disk, "ballast")
	o := outcome{}
	for range n {
		if err := fill(ballast); err != nil {
			r.t.Fatal(err)
		}
		c.deaths = append(c.deaths, time.Now())
		if c.flood() {
			o.faults++
		} else {
			o.missed++
		}
		c.fireAt(classA, classB, classP)
		wait(time.Duration(r.rng.Int64N(int64(2 * time.Second))))
		if err := os.Remove(ballast); err != nil {
			r.t.Fatal(err)
		}
		c.takesAgain(&o, "there was room on the disk again")
		c.lives(&o)
	}
	o.verdict.merge(c.judge(c.patience()))
	return o
}

// takesAgain notes a store that does not come back once it can.
func (c *cell) takesAgain(o *outcome, since string) {
	if err := c.sender.awaitTaken(patient(time.Minute)); err != nil {
		o.wrong("the store did not come back once %s: %v", since, err)
	}
}

// lives notes a daemon that ended with its store.
func (c *cell) lives(o *outcome) {
	select {
	case <-c.ended:
		o.wrong("the daemon ended with its store")
		c.died()
		c.start("")
	default:
	}
}

// merge takes in what another verdict says.
func (v *verdict) merge(other *verdict) {
	wrong := v.Wrong
	*v = *other
	v.Wrong = append(wrong, other.Wrong...)
}

// fill writes zeros until there is no room.
func fill(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	for block := make([]byte, 1<<16); err == nil; {
		_, err = file.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return nil
}

// flood posts large alerts that are over already, which open nothing, until
// they are refused; false: they were not.
func (c *cell) flood() bool {
	for i := range 200 {
		var said []any
		for k := range 500 {
			a := &alert{Target: "page", Starts: time.Now().Add(-time.Minute), Ends: time.Now()}
			a.Name = fmt.Sprintf("flood-%d-%d-%s", i, k, strings.Repeat("x", 4<<10))
			said = append(said, a.message(true))
		}
		if c.sender.send(said)/100 != 2 {
			return true
		}
	}
	return false
}

// syncFails lets fdatasync fail in the store's process while alerts come in,
// until it ends by that.
func syncFails(r *run, v variant, n int) outcome {
	c := r.cell(v)
	c.start("")
	c.sees()
	o := outcome{}
	for range n {
		member := c.member()
		said := &bytes.Buffer{}
		tracer := exec.Command("strace", "-f", "-p", strconv.Itoa(member), "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=1+")
		tracer.Stderr = said
		tracer.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
		ended, err := servers.Start(tracer)
		if err != nil {
			r.t.Fatal(err)
		}
		c.deaths = append(c.deaths, time.Now())
		c.fireAt(classA, classB, classP)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = tracer.Process.Signal(syscall.SIGTERM)
			<-ended
		}
		if strings.Contains(said.String(), "INJECTED") {
			o.faults++
		} else {
			o.missed++
			c.t.Logf("nothing was injected: %s", said)
		}
		c.takesAgain(&o, "the store could sync again")
		c.lives(&o)
	}
	o.verdict.merge(c.judge(c.patience()))
	return o
}

// member is the process of the store; 0: there is none.
func (c *cell) member() int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it is gone
		}
		rest := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(rest) > 1 && rest[0] != "Z" && rest[1] == strconv.Itoa(c.cmd.Process.Pid) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return pid
		}
	}
	return 0
}
