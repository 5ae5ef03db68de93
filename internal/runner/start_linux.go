package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// self is this process's own binary, also when another one has its name by now.
const self = "/proc/self/exe"

// Start puts the order on record and begins a runner for it. gate is asked last
// thing. With an order of the id on record already it is ErrKnown; after any other
// error nothing was begun, and nothing will be.
func (d Dir) Start(o Order, now time.Time, gate func() error) error {
	d.sweep(now)
	o.StartBy = bootTime() + startWithin // before the gate: see the package's doc
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if len(text) > mostFile {
		return errTooLong
	}
	var locked *os.File
	err = d.link(name(o.ID)+orderFile, text, func(f *os.File) error {
		locked = f
		return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	})
	if errors.Is(err, fs.ErrExist) {
		return ErrKnown
	}
	if err != nil {
		return fmt.Errorf("the order can't be put on record: %w", err)
	}
	defer locked.Close() // the runner has it open too
	if err := gate(); err != nil {
		return err
	}
	cmd := exec.Command(self, Command, runWord, string(d), name(o.ID))
	cmd.Args[0] = "signalbox"
	cmd.Dir = "/"
	cmd.Env = []string{} // nothing that the daemon may hold a secret in
	cmd.ExtraFiles = []*os.File{locked}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("no runner can be begun: %w", err)
	}
	go func() { _ = cmd.Wait() }() // how it ended is in its files
	return nil
}

// bootTime reads the clock that also counts while the machine is suspended.
func bootTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("clock_gettime(CLOCK_BOOTTIME): " + err.Error()) // there since Linux 2.6.39
	}
	return time.Duration(ts.Nano())
}

// MayBecome says why a program can't be run as another user; empty: it can.
func MayBecome() string {
	if os.Geteuid() == 0 {
		return ""
	}
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&h, &data[0]); err != nil {
		return "its own capabilities can't be read: " + err.Error()
	}
	for _, c := range []struct {
		bit  int
		name string
	}{{unix.CAP_SETUID, "CAP_SETUID"}, {unix.CAP_SETGID, "CAP_SETGID"}, {unix.CAP_KILL, "CAP_KILL"}} {
		if data[0].Effective&(1<<c.bit) == 0 || data[0].Permitted&(1<<c.bit) == 0 {
			return "the daemon is not root and has no " + c.name
		}
	}
	return ""
}
