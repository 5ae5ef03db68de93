package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/signalbox/signalbox/test/servers/cache"
)

// The nested module, and where in it the programs are that it pins.
const (
	kubeModule   = "test/servers/kube"
	kubePrograms = "k8s.io/kubernetes/cmd/"
)

// kubeProgram is a program of Kubernetes in the nested module.
func kubeProgram(b cache.Binary) nested {
	return nested{
		Binary: b, module: kubeModule, program: kubePrograms + b.Name, version: "k8s.io/component-base/version.gitVersion=v" + b.Version,
		takes: "about 8 minutes on two cores for the first program; those built before are not built again",
	}
}

// nested is a program in a nested module.
type nested struct {
	cache.Binary
	module  string // its folder, from the project's root
	program string // its package
	version string // what the linker sets, so that it tells its version
	takes   string
}

// builds builds the programs that are not there. Their modules come before the
// first build, so that one that can't be had is told at once.
func (in *installer) builds(ctx context.Context, programs ...nested) error {
	total := map[string]int{} // packages of those to build, by name
	var failed []error
	for _, n := range programs {
		path, err := n.Path()
		if err == nil && in.there(ctx, n.Binary, path) {
			continue
		}
		if err == nil {
			total[n.Name], err = modules(ctx, n)
		}
		failed = append(failed, err)
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	for _, n := range programs {
		if total[n.Name] == 0 {
			continue
		}
		if err := in.ensure(ctx, n.Binary, func(ctx context.Context, _ cache.Binary) (string, error) {
			return in.build(ctx, n, total[n.Name])
		}); err != nil {
			return err
		}
	}
	return nil
}

// modules downloads what a program is made of, and counts its packages.
func modules(ctx context.Context, n nested) (total int, err error) {
	dir, err := n.dir(ctx)
	if err != nil {
		return 0, err
	}
	say("%s %s: downloading its modules", n.Name, n.Version)
	err = again(ctx, func() error {
		total, err = countPackages(ctx, dir, n.program)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("%s %s: %w", n.Name, n.Version, err)
	}
	return total, nil
}

// build builds a program without cgo, so that the result needs no C library and
// no C compiler.
func (in *installer) build(ctx context.Context, n nested, total int) (string, error) {
	dir, err := n.dir(ctx)
	if err != nil {
		return "", err
	}
	say("%s %s: building %d packages, in %s", n.Name, n.Version, total, n.takes)
	out := filepath.Join(in.scratch, n.Name)
	return out, again(ctx, func() error {
		cmd := goCommand(ctx, dir, "build", "-v", "-trimpath", "-ldflags", "-s -w -X "+n.version, "-o", out, n.program)
		return runShown(cmd, n.Name, total)
	})
}

func (n nested) dir(ctx context.Context) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/signalbox/signalbox").Output()
	if err != nil {
		return "", fmt.Errorf("run it in the project: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(root)), filepath.FromSlash(n.module)), nil
}

// errCompile is a failure that another attempt does not mend.
var errCompile = errors.New("it does not compile")

// again does what may fail by the network's fault up to three times.
func again(ctx context.Context, do func() error) error {
	const attempts, pause = 3, 10 * time.Second
	for attempt := 1; ; attempt++ {
		err := do()
		if err == nil || attempt == attempts || errors.Is(err, errCompile) {
			return err
		}
		say("trying again in %v: %v", pause, err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

func goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off")
	return cmd
}

func countPackages(ctx context.Context, module, program string) (int, error) {
	out, err := goCommand(ctx, module, "list", "-deps", "-f", ".", program).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return 0, fmt.Errorf("go list: %w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return strings.Count(string(out), "."), err
}

// progressEvery is the time between two lines of progress.
const progressEvery = 15 * time.Second

// runShown runs a `go build -v`, and says now and then how far it is.
func runShown(cmd *exec.Cmd, name string, total int) error {
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	started := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	var built atomic.Int64
	lines := make(chan []string)
	compiles := true
	go func() {
		last, ok := follow(pipe, &built)
		compiles = ok
		lines <- last
	}()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			say("%s: %s, %d of at most %d packages built", name, time.Since(started).Round(time.Second), built.Load(), total)
		case last := <-lines:
			err := cmd.Wait()
			if err == nil {
				return nil
			}
			if !compiles {
				err = fmt.Errorf("%w: %w", errCompile, err)
			}
			return fmt.Errorf("go build: %w\n%s", err, strings.Join(last, "\n"))
		}
	}
}

// follow counts the lines of r and returns the last of them, and whether no
// package was said to have errors: a line of its own, with a #, begins them.
func follow(r io.Reader, count *atomic.Int64) (last []string, compiles bool) {
	const kept = 20
	compiles = true
	for s := bufio.NewScanner(r); s.Scan(); count.Add(1) {
		compiles = compiles && !strings.HasPrefix(s.Text(), "# ")
		last = append(last, s.Text())
		if len(last) > kept {
			last = last[1:]
		}
	}
	_, _ = io.Copy(io.Discard, r) // after a line too long to scan: the build must not block on its pipe
	return last, compiles
}
