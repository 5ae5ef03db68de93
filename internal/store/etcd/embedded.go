package etcd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signalbox/signalbox/internal/store"
)

// EmbeddedOptions of a member of our own.
type EmbeddedOptions struct {
	// Dir is the data directory. It is made, and kept, with mode 0700.
	Dir string
	// Binary is the command that calls RunMember, as its argument vector: by
	// default this binary with MemberCommand.
	Binary []string
	// Cluster that the member is one of; nil: it is alone.
	Cluster *Cluster
	// Quota of the database file in bytes: 2 GiB by default (etcd's own).
	Quota int64
	// Keep is how many revisions of history compaction leaves at the most: 10,000
	// by default. A Watch that lags by more, or by more than CompactEvery, may end
	// with store.ErrCompacted.
	Keep int64
	// CompactEvery is 5 min by default, UpkeepEvery (how often the member is
	// looked at) 5 s.
	CompactEvery, UpkeepEvery time.Duration
	// DefragAbove is the size in bytes, 64 MiB by default, above which a file
	// that is mostly free is defragmented.
	DefragAbove int64
	// StartTimeout bounds a start of the member, its wait for a predecessor
	// that still ends included: 1 min by default. Past it, it is killed.
	StartTimeout time.Duration
	// TTL and Timeout are those of Options; with a Cluster TTL is ClusterTTL by
	// default.
	TTL, Timeout time.Duration
	// OnChange is called in order when the member comes up or goes down; it
	// must not block. reason is empty when up. May be nil.
	OnChange func(up bool, reason string)
	Log      *slog.Logger // nil: discarded
}

// MemberCommand is the hidden subcommand under which the binary calls RunMember.
const MemberCommand = "store-member"

// ErrLocked: another process has the data directory.
var ErrLocked = errors.New("another process has it")

// Embedded is a Store over a supervised member. It is safe for concurrent use.
type Embedded struct {
	*Store
	opt   EmbeddedOptions
	argv  []string
	dir   *os.File // holds the lock, and names the socket
	claim claim    // of the directory; the supervisor's after Start
	nonce string   // tells this process from its predecessors on Dir
	stop  context.CancelFunc
	done  chan struct{}

	mu     sync.Mutex
	status Status
	turned chan struct{} // closed, and replaced, when up changes
}

// Start locks o.Dir and begins to supervise its member, until Close. It does
// not wait for it (see Await), so that a daemon with a broken disk can still
// page: errors are those of o, and ErrLocked. ctx bounds nothing but Start.
func Start(ctx context.Context, o EmbeddedOptions) (*Embedded, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	argv, err := command(o.Binary)
	if err != nil {
		return nil, err
	}
	s, err := newStore(o.TTL, o.Timeout, o.Log)
	if err != nil {
		return nil, err
	}
	dir, err := lockDir(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("etcd: data directory: %w", err)
	}
	claimed, err := claimDir(o.Dir, o.Cluster)
	if err != nil {
		_ = dir.Close()
		return nil, fmt.Errorf("etcd: data directory: %w", err)
	}
	e := &Embedded{
		Store: s, opt: o, argv: argv, dir: dir, claim: claimed, nonce: rand.Text(),
		done: make(chan struct{}), turned: make(chan struct{}),
		status: Status{Quota: o.Quota, Members: 1, Forming: o.Cluster != nil && !claimed.Formed},
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.stop = stop
	go e.supervise(running)
	return e, nil
}

func (o *EmbeddedOptions) complete() error {
	if o.Dir == "" {
		return errors.New("etcd: data directory: is empty")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.OnChange == nil {
		o.OnChange = func(bool, string) {}
	}
	if o.Cluster != nil {
		own := *o.Cluster
		if err := own.complete(); err != nil {
			return err
		}
		o.Cluster = &own
		if o.TTL == 0 {
			o.TTL = ClusterTTL
		}
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		usual time.Duration
	}{
		{"compaction interval", &o.CompactEvery, 5 * time.Minute},
		{"upkeep interval", &o.UpkeepEvery, 5 * time.Second},
		{"start timeout", &o.StartTimeout, time.Minute},
	} {
		if *d.value == 0 {
			*d.value = d.usual
		}
		if *d.value < 0 {
			return fmt.Errorf("etcd: %s: above zero, got %v", d.name, *d.value)
		}
	}
	return o.completeSizes()
}

func (o *EmbeddedOptions) completeSizes() error {
	for _, n := range []struct {
		name         string
		value        *int64
		usual, least int64
	}{
		{"quota in bytes", &o.Quota, 2 << 30, 1 << 20},
		{"revisions to keep", &o.Keep, 10_000, 1},
		{"size to defragment above", &o.DefragAbove, 64 << 20, 1},
	} {
		if *n.value == 0 {
			*n.value = n.usual
		}
		if *n.value < n.least {
			return fmt.Errorf("etcd: %s: at least %d, got %d", n.name, n.least, *n.value)
		}
	}
	return nil
}

// command makes argv[0] absolute, since the child runs in its data directory.
func command(argv []string) ([]string, error) {
	if len(argv) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("etcd: own binary: %w", err)
		}
		return []string{self, MemberCommand}, nil
	}
	path, err := exec.LookPath(argv[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return nil, fmt.Errorf("etcd: member's binary: %w", err)
	}
	return append([]string{path}, argv[1:]...), nil
}

// lockDir makes dir, keeps others out of it, and locks it for as long as the
// file that it returns is open. The lock is on the directory itself, so that it
// needs no room on a full disk, and goes with the process.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return file, nil
}

// maxSocketPath is what fits in sockaddr_un with its final NUL (unix(7): 108
// bytes on Linux, 104 on others).
const maxSocketPath = 103

// socketPath names the socket for connect(2). Where it is too long for that,
// it is reached through our open file of the directory; the child listens under
// its bare name, since it runs in the directory.
func (e *Embedded) socketPath() string {
	path := filepath.Join(e.opt.Dir, socketName)
	if len(path) > maxSocketPath {
		path = fmt.Sprintf("/proc/self/fd/%d/%s", e.dir.Fd(), socketName)
	}
	return path
}

// Await waits until the member is up, or ctx ends. Its error matches
// store.ErrUnavailable and says why the member is not up.
func (e *Embedded) Await(ctx context.Context) error {
	for {
		e.mu.Lock()
		up, turned, last, waits := e.status.Up, e.turned, e.status.LastExit, e.status.Waits
		e.mu.Unlock()
		if up {
			return nil
		}
		select {
		case <-turned:
		case <-e.done:
			return errClosed
		case <-ctx.Done():
			return fmt.Errorf("%w: the member is not up: waits for: %q, last exit: %q: %w", store.ErrUnavailable, waits, last, ctx.Err())
		}
	}
}

// Up reports whether the member serves.
func (e *Embedded) Up() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.status.Up
}

// Close ends the member in good order, kills it after 10 s, and unlocks the
// data directory. Leaderships are lost, not resigned.
func (e *Embedded) Close() error {
	err := e.Store.Close()
	e.stop()
	<-e.done
	if closeErr := e.dir.Close(); !errors.Is(closeErr, os.ErrClosed) { // it is, at a second Close
		err = errors.Join(err, closeErr)
	}
	return err
}
