// Command install fetches and builds the real servers that tests run against,
// on Debian 12 with Go, into a cache outside the tree:
//
//	Prometheus, Alertmanager   from Debian's packages, unpacked, not installed: no service starts;
//	                           two templates of Alertmanager go where its program looks for them
//	PostgreSQL, Redis,         from Debian's packages, with what they need and the machine lacks, unpacked
//	RabbitMQ, and exporters    in the same way
//	strace, ip                 installed, where they are missing: the tests of a failing disk and of
//	                           partitions need them
//	kube-apiserver and         built from their Go module, in about 10 minutes on two cores, once
//	kube-controller-manager
//	Loki                       built from its Go module, in about 5 minutes
//
// It is safe to run twice, and at the same time: what is there and has the
// right version stays, one run waits for the other, and each program comes to
// its name whole.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/signalbox/signalbox/test/servers/cache"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "install:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	dir, err := cache.Dir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	scratch, err := os.MkdirTemp(dir, "scratch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	in := installer{dir: dir, scratch: scratch}
	if err := in.packages(ctx); err != nil {
		return err // now, and not only after all the builds
	}
	return in.builds(ctx, kubeProgram(cache.KubeAPIServer()), kubeProgram(cache.KubeControllerManager()), loki(cache.Loki()))
}

// packages brings what Debian has. Each is tried, and all that fail are told.
func (in *installer) packages(ctx context.Context) error {
	return errors.Join(
		in.ensure(ctx, cache.Prometheus(), in.unpack),
		in.ensure(ctx, cache.Alertmanager(), in.unpack),
		in.templates(ctx),
		in.bundle(ctx, cache.Postgres()),
		in.ensure(ctx, cache.PostgresExporter(), in.unpack),
		in.bundle(ctx, cache.Redis()),
		in.ensure(ctx, cache.RedisExporter(), in.unpack),
		in.bundle(ctx, cache.RabbitMQ()),
		in.ensure(ctx, cache.BlackboxExporter(), in.unpack),
		in.program(ctx, "strace", "strace"),
		in.program(ctx, "ip", "iproute2"),
	)
}

// lock waits until no other run is under way.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	fd := int(f.Fd())
	if syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		say("another install is under way: waiting for it")
		if err := syscall.Flock(fd, syscall.LOCK_EX); err != nil {
			f.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return func() { f.Close() }, nil
}

type installer struct {
	dir, scratch string
	listed       bool // the package lists were brought up to date
}

// ensure makes b and moves it to its name, unless a good one is there.
func (in *installer) ensure(ctx context.Context, b cache.Binary, make func(context.Context, cache.Binary) (string, error)) error {
	path, err := b.Path()
	if err != nil || in.there(ctx, b, path) {
		return err
	}
	started := time.Now()
	made, err := make(ctx, b)
	if err != nil {
		return fmt.Errorf("%s %s: %w", b.Name, b.Version, err)
	}
	if err := in.check(ctx, b, made); err != nil {
		return err
	}
	if err := os.Rename(made, path); err != nil {
		return err
	}
	say("%s %s is ready (%s)", b.Name, b.Version, time.Since(started).Round(time.Second))
	return nil
}

// there says whether a good b is at its path.
func (in *installer) there(ctx context.Context, b cache.Binary, path string) bool {
	if _, err := os.Stat(path); err != nil {
		return false
	}
	if err := in.check(ctx, b, path); err != nil {
		say("%v: making it anew", err)
		return false
	}
	say("%s %s is there", b.Name, b.Version)
	return true
}

// check runs the program and looks for its version.
func (in *installer) check(ctx context.Context, b cache.Binary, path string) error {
	return shows(ctx, b, path, nil, []string{"--version"})
}

// shows runs a program with args, in the test's environment and env, and looks
// for its version in what it says.
func shows(ctx context.Context, b cache.Binary, path string, env, args []string) error {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s does not run: %w", path, err)
	}
	for _, word := range strings.Fields(string(out)) {
		version := strings.TrimPrefix(word, "v")
		if version == b.Version || strings.HasPrefix(version, b.Version+".") {
			return nil
		}
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return fmt.Errorf("%s must be version %s, got %q", b.Name, b.Version, first)
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "install: "+format+"\n", args...) }
