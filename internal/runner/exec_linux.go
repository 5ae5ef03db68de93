package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"
)

// task is what a process is to become.
type task struct {
	Argv   []string
	Env    []string
	Dir    string
	User   *User
	Limits Limits
	Parent int
}

// become waits for its task and becomes the program. What is in its way goes to
// the status, which exec closes.
func become() int {
	debug.SetGCPercent(-1) // the limit of memory must not meet our own collector
	params, status := os.NewFile(3, "params"), os.NewFile(4, "status")
	if err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		unix.CloseOnExec(3)
		unix.CloseOnExec(4)
	}
	var t task
	if err := json.NewDecoder(params).Decode(&t); err != nil {
		return 1 // the runner is gone, or has thought better of it
	}
	err := t.become()
	_, _ = status.WriteString(err.Error())
	return 1
}

// become returns only where it could not.
func (t *task) become() error {
	unix.Umask(0o077)
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("new privileges can't be ruled out: %w", err)
	}
	// The daemon's own capabilities would outlive the change of user and exec.
	err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	if err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("capabilities can't be given up: %w", err)
	}
	if t.User != nil {
		if err := t.User.become(); err != nil {
			return err
		}
	}
	// After the change of user, which takes it off.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("it can't be bound to its runner: %w", err)
	}
	if os.Getppid() != t.Parent {
		return errors.New("its runner is gone")
	}
	if err := os.Chdir(t.Dir); err != nil {
		return err
	}
	if err := t.Limits.set(); err != nil {
		return err
	}
	return fmt.Errorf("%s can't be run: %w", t.Argv[0], syscall.Exec(t.Argv[0], t.Argv, t.Env))
}

// become changes the user for good.
func (u *User) become() error {
	if u.UID == 0 || u.GID == 0 {
		return errors.New("a program is never run as root")
	}
	for _, err := range []error{syscall.Setgroups([]int{}), syscall.Setgid(int(u.GID)), syscall.Setuid(int(u.UID))} {
		if err != nil {
			return fmt.Errorf("it can't become user %d, group %d: %w", u.UID, u.GID, err)
		}
	}
	return nil
}

// set sets the limits; that of memory comes last, since we are over it ourselves.
func (l *Limits) set() error {
	for _, x := range []struct {
		name  string
		what  int
		value uint64
	}{
		{"core", unix.RLIMIT_CORE, 0},
		{"file_size", unix.RLIMIT_FSIZE, l.FileSize},
		{"processes", unix.RLIMIT_NPROC, l.Processes},
		{"cpu", unix.RLIMIT_CPU, uint64(l.CPU.Seconds())},
		{"open_files", unix.RLIMIT_NOFILE, l.OpenFiles},
		{"memory", unix.RLIMIT_AS, l.Memory},
	} {
		var has syscall.Rlimit
		if err := syscall.Getrlimit(x.what, &has); err != nil {
			return fmt.Errorf("limit %s: %w", x.name, err)
		}
		v := min(x.value, has.Max)
		if err := syscall.Setrlimit(x.what, &syscall.Rlimit{Cur: v, Max: v}); err != nil {
			return fmt.Errorf("limit %s of %d: %w", x.name, v, err)
		}
	}
	return nil
}
