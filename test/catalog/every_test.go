package catalog

import (
	"sync"
	"testing"
	"time"
)

// every does something ten times a second until the returned function is
// called, which waits for the last time.
func every(t *testing.T, do func() error) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if err := do(); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	return sync.OnceFunc(func() { close(done); running.Wait() })
}
