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

// build builds a program of Kubernetes in the nested module, without cgo, so
// that the result needs no C library and no C compiler.
func (in *installer) build(ctx context.Context, b cache.Binary) (string, error) {
	return in.buildIn(ctx, b, nested{
		module: kubeModule, program: kubePrograms + b.Name, version: "k8s.io/component-base/version.gitVersion=v" + b.Version,
		takes: "about 8 minutes on two cores for the first program; those built before are not built again",
	})
}

// nested is a program in a nested module.
type nested struct {
	module  string // its folder, from the project's root
	program string // its package
	version string // what the linker sets, so that it tells its version
	takes   string
}

func (in *installer) buildIn(ctx context.Context, b cache.Binary, n nested) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/signalbox/signalbox").Output()
	if err != nil {
		return "", fmt.Errorf("run it in the project: %w", err)
	}
	module := filepath.Join(strings.TrimSpace(string(root)), filepath.FromSlash(n.module))
	say("%s %s: downloading its modules", b.Name, b.Version)
	total, err := countPackages(ctx, module, n.program)
	if err != nil {
		return "", err
	}
	say("%s %s: building %d packages, in %s", b.Name, b.Version, total, n.takes)
	out := filepath.Join(in.scratch, b.Name)
	cmd := goCommand(ctx, module, "build", "-v", "-trimpath", "-ldflags", "-s -w -X "+n.version, "-o", out, n.program)
	return out, runShown(cmd, b.Name, total)
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
	go func() { lines <- follow(pipe, &built) }()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			say("%s: %s, %d of at most %d packages built", name, time.Since(started).Round(time.Second), built.Load(), total)
		case last := <-lines:
			if err := cmd.Wait(); err != nil {
				return fmt.Errorf("go build: %w\n%s", err, strings.Join(last, "\n"))
			}
			return nil
		}
	}
}

// follow counts the lines of r and returns the last of them.
func follow(r io.Reader, count *atomic.Int64) []string {
	const kept = 20
	var last []string
	for s := bufio.NewScanner(r); s.Scan(); count.Add(1) {
		last = append(last, s.Text())
		if len(last) > kept {
			last = last[1:]
		}
	}
	_, _ = io.Copy(io.Discard, r) // after a line too long to scan: the build must not block on its pipe
	return last
}
