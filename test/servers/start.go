package servers

import (
	"os/exec"
	"runtime"
)

// Start starts a program; ended is closed once it has ended and was waited for.
// The thread that starts it waits for it and does nothing else: a Pdeathsig
// fires when that thread ends, and so must not end before the child.
func Start(cmd *exec.Cmd) (ended <-chan struct{}, err error) {
	started, done := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended its log says, and cmd.ProcessState
		}
	}()
	return done, <-started
}
