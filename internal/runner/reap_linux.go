package runner

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// exits tells when the first process ended, and when all did.
type exits struct {
	first chan End      // takes one
	all   chan struct{} // closed
}

// exits reaps whatever is ours: what its processes left behind has become ours.
func (p *process) exits() exits {
	e := exits{first: make(chan End, 1), all: make(chan struct{})}
	go func() {
		defer close(e.all)
		for {
			var s unix.WaitStatus
			pid, err := unix.Wait4(-1, &s, 0, nil)
			switch {
			case errors.Is(err, unix.EINTR):
			case err != nil: // ECHILD: none is left
				return
			case pid == p.pid:
				end := End{Code: s.ExitStatus()}
				if s.Signaled() {
					end.Signal = unix.SignalName(s.Signal())
				}
				e.first <- end
			}
		}
	}()
	return e
}

// killAll kills what is left of the program, again and again until nothing is: who
// is killed leaves its children to us. A process that can't be killed (it waits for
// a disk) holds us up, and the lock with us: it does go on.
func (p *process) killAll(e exits) {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-e.all:
			return
		default:
		}
		_ = unix.Kill(-p.pid, unix.SIGKILL)
		for _, pid := range children(os.Getpid()) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		select {
		case <-e.all:
			return
		case <-again.C:
		}
	}
}

// children are the processes whose parent is pid, from proc(5), but those that have
// ended and are not reaped yet.
func children(pid int) []int {
	list, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []int
	for _, e := range list {
		child, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it has ended meanwhile
		}
		// The name in parentheses may hold anything; then come its state and its parent.
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		if len(fields) > 1 && string(fields[0]) != "Z" && string(fields[1]) == strconv.Itoa(pid) {
			found = append(found, child)
		}
	}
	return found
}
