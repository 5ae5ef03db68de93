package etcd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/signalbox/signalbox/internal/store"
)

// Options of an external cluster.
type Options struct {
	// Endpoints are URLs, such as https://etcd-1:2379. At least one.
	Endpoints []string
	// CAFile, CertFile and KeyFile are PEM files, all or none. The certificate
	// is read again at each handshake, so it can be rotated.
	CAFile, CertFile, KeyFile string
	// ServerName is what the servers' certificates say, when it isn't their host.
	ServerName string
	// TTL of a leader's lease: DefaultTTL by default, 2 s at least.
	TTL time.Duration
	// Timeout of a call whose context has no deadline: 3 s by default.
	Timeout time.Duration
	Log     *slog.Logger // nil: discarded
}

// Store implements store.Store over one etcd client. Embedded changes the
// client under it each time that the member starts.
type Store struct {
	timeout, ttl time.Duration
	log          *slog.Logger
	clock        func() time.Duration // bootTime
	// alone connects to one of several endpoints; nil: there is one.
	alone func(endpoint string) (*clientv3.Client, error)

	mu     sync.RWMutex
	client *clientv3.Client // nil while down
	holder string           // the value of a leader's key
	down   error            // why client is nil
	up     chan struct{}    // closed while client is there
	closed bool
	held   map[*leadership]struct{}

	written atomic.Int64 // bootTime of the last Commit
}

// DefaultTTL is how long a leader's lease lasts that nobody keeps alive, and
// ClusterTTL that of an embedded cluster: after a crash it elects first, and then
// counts each lease anew.
const (
	DefaultTTL = 3 * time.Second
	ClusterTTL = 2 * time.Second
)

const (
	leastTTL       = 2 * time.Second
	defaultTimeout = 3 * time.Second

	// pageSize bounds what one answer of a List holds; its pages are all read
	// at the revision of the first.
	pageSize = 2000
	// readPause lies between two tries of a read.
	readPause = 50 * time.Millisecond
)

var (
	errStarting = errors.New("the member is starting")
	errStopping = errors.New("the member is stopping")
)

// Dial returns a Store over an external cluster. It does not wait for it:
// calls return store.ErrUnavailable until the cluster answers. Errors are those
// of o and of its files.
func Dial(o Options) (*Store, error) {
	if len(o.Endpoints) == 0 {
		return nil, errors.New("etcd: endpoints: at least one, got none")
	}
	s, err := newStore(o.TTL, o.Timeout, o.Log)
	if err != nil {
		return nil, err
	}
	cfg := clientConfig(o.Endpoints)
	if n := countSet(o.CAFile, o.CertFile, o.KeyFile); n == 3 {
		info := transport.TLSInfo{TrustedCAFile: o.CAFile, CertFile: o.CertFile, KeyFile: o.KeyFile, ServerName: o.ServerName}
		if cfg.TLS, err = info.ClientConfig(); err != nil {
			return nil, fmt.Errorf("etcd: tls files: %w", err)
		}
	} else if n != 0 {
		return nil, errors.New("etcd: tls files: CA, certificate and key, all or none")
	}
	client, err := clientv3.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	s.alone = func(endpoint string) (*clientv3.Client, error) {
		one := cfg
		one.Endpoints = []string{endpoint}
		return clientv3.New(one)
	}
	host, _ := os.Hostname()
	s.use(client, fmt.Sprintf("%s/%d/%s", host, os.Getpid(), rand.Text()))
	return s, nil
}

func newStore(ttl, timeout time.Duration, log *slog.Logger) (*Store, error) {
	if ttl == 0 {
		ttl = DefaultTTL
	}
	if ttl < leastTTL || ttl%time.Second != 0 {
		return nil, fmt.Errorf("etcd: lease TTL: whole seconds, at least %v, got %v", leastTTL, ttl)
	}
	if timeout < 0 {
		return nil, fmt.Errorf("etcd: timeout: above zero, got %v", timeout)
	}
	if timeout == 0 {
		timeout = defaultTimeout
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Store{timeout: timeout, ttl: ttl, log: log, clock: bootTime, down: errStarting, up: make(chan struct{}), held: map[*leadership]struct{}{}}, nil
}

func clientConfig(endpoints []string) clientv3.Config {
	return clientv3.Config{
		Endpoints:            endpoints,
		DialTimeout:          defaultTimeout,
		DialKeepAliveTime:    10 * time.Second, // servers refuse less than 5 s
		DialKeepAliveTimeout: defaultTimeout,
		MaxUnaryRetries:      1, // tries, that is: see the package's promises
		Logger:               zap.NewNop(),
	}
}

// use lets calls go to client.
func (s *Store) use(client *clientv3.Client, holder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = client.Close()
		return
	}
	if s.client == nil {
		close(s.up)
	}
	s.client, s.holder, s.down = client, holder, nil
}

// drop ends what is under way, and lets calls fail with reason at once.
func (s *Store) drop(reason error) {
	s.mu.Lock()
	client := s.client
	s.client, s.down = nil, reason
	if client != nil {
		s.up = make(chan struct{})
	}
	s.mu.Unlock()
	if client != nil {
		_ = client.Close() // the connection is gone anyway
	}
}

func (s *Store) current() (*clientv3.Client, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case s.closed:
		return nil, errClosed
	case s.client == nil:
		return nil, fmt.Errorf("%w: %w", store.ErrUnavailable, s.down)
	}
	return s.client, nil
}

// bound gives ctx the deadline of a call where it has none.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, s.timeout)
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix string) ([]store.KV, store.Revision, error) {
	for {
		var kvs []store.KV
		rev, err := s.ListParts(ctx, prefix, func(part []store.KV) error {
			kvs = append(kvs, part...)
			return nil
		})
		if errors.Is(err, store.ErrCompacted) { // between two pages
			continue
		}
		return kvs, rev, err
	}
}

// ListParts implements store.Parts, a page at a time.
func (s *Store) ListParts(ctx context.Context, prefix string, f func([]store.KV) error) (store.Revision, error) {
	var rev int64
	end, from := clientv3.GetPrefixRangeEnd(prefix), prefix
	if prefix == "" {
		from, end = "\x00", "\x00" // all keys, as etcd says it
	}
	for more := true; more; {
		page, err := s.read(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(pageSize), clientv3.WithRev(rev))
		if err != nil {
			return 0, fmt.Errorf("list %q: %w", prefix, err)
		}
		if rev == 0 {
			rev = page.Header.Revision
		}
		kvs := make([]store.KV, len(page.Kvs))
		for i, kv := range page.Kvs {
			kvs[i] = fromEtcd(kv)
		}
		if more = page.More; more {
			from = kvs[len(kvs)-1].Key + "\x00"
		}
		if err := f(kvs); err != nil {
			return 0, err
		}
	}
	return store.Revision(rev), nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.KV, bool, error) {
	if err := store.CheckKey("key", key); err != nil {
		return store.KV{}, false, err
	}
	page, err := s.read(ctx, key)
	if err != nil {
		return store.KV{}, false, fmt.Errorf("get %q: %w", key, err)
	}
	if len(page.Kvs) == 0 {
		return store.KV{}, false, nil
	}
	return fromEtcd(page.Kvs[0]), true, nil
}

// read is tried again until it is answered, or its time is over, or the store
// is known to be down.
func (s *Store) read(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	for {
		client, err := s.current()
		if err != nil {
			return nil, err
		}
		page, err := client.Get(ctx, key, opts...)
		if err == nil {
			return page, nil
		}
		if err = mapped(ctx, err); !errors.Is(err, store.ErrUnavailable) || !pause(ctx, readPause) {
			return nil, err
		}
	}
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, t store.Txn) (store.Revision, error) {
	if err := t.Check(); err != nil {
		return 0, err
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	client, err := s.current()
	if err != nil {
		return 0, fmt.Errorf("commit: %w", err)
	}
	if len(t.Puts)+len(t.Deletes) > 0 {
		s.written.Store(int64(bootTime()))
	}
	answer, err := client.Txn(ctx).If(compares(t.Ifs)...).Then(writes(t)...).Commit()
	if err != nil {
		return 0, fmt.Errorf("commit: %w", mapped(ctx, err))
	}
	if !answer.Succeeded {
		return 0, fmt.Errorf("commit: %w", store.ErrConflict)
	}
	return store.Revision(answer.Header.Revision), nil
}

// Compact forgets the history before rev, and waits until its room is free.
func (s *Store) Compact(ctx context.Context, rev store.Revision) error {
	client, err := s.current()
	if err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	if _, err := client.Compact(ctx, int64(rev), clientv3.WithCompactPhysical()); err != nil {
		return fmt.Errorf("compact: %w", mapped(ctx, err))
	}
	return nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	held := s.held
	s.held = nil
	s.mu.Unlock()
	for l := range held {
		l.lose(errClosed)
		<-l.done
	}
	s.drop(errClosed)
	return nil
}

// pause waits, and returns false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// pauseWhileDown is pause, but over at once when the store, if it is down, gets
// up.
func (s *Store) pauseWhileDown(ctx context.Context, d time.Duration) {
	s.mu.RLock()
	up := s.up
	if s.client != nil {
		up = nil
	}
	s.mu.RUnlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-up:
	case <-ctx.Done():
	}
}

func countSet(values ...string) int {
	return len(values) - len(slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v != "" }))
}
