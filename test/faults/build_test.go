package faults

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// programs is where binaries are built.
var programs string

// build builds the daemon, and returns its path.
func build(t testing.TB, name string, flags ...string) string {
	t.Helper()
	path := filepath.Join(programs, name)
	args := append([]string{"build", "-p", "1", "-o", path}, flags...)
	cmd := exec.Command("go", append(args, "./cmd/signalbox")...)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return path
}

// armed is the daemon with its steps, and operators the tool of its operators.
var (
	armed     = compiled("signalbox-faults", "-tags", "faults", "./cmd/signalbox")
	operators = compiled("signalboxctl", "./cmd/signalboxctl")
)

// compiled builds a program once, and returns its path.
func compiled(name string, args ...string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		path := filepath.Join(programs, name)
		cmd := exec.Command("go", append([]string{"build", "-p", "1", "-o", path}, args...)...)
		cmd.Dir = "../.."
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("build: %w\n%s", err, out)
		}
		return path, err
	})
}

func theDaemon(t testing.TB) string {
	t.Helper()
	path, err := armed()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
