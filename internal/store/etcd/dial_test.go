package etcd_test

import (
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/etcd"
)

func mustDial(t testing.TB, o etcd.Options) *etcd.Store {
	t.Helper()
	s, err := etcd.Dial(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestDialOptions(t *testing.T) {
	for name, tt := range map[string]struct {
		o    etcd.Options
		want string
	}{
		"no endpoint": {etcd.Options{}, "endpoints: at least one"},
		"half of TLS": {etcd.Options{Endpoints: []string{"https://127.0.0.1:1"}, CAFile: "ca"}, "all or none"},
		"no file":     {etcd.Options{Endpoints: []string{"https://127.0.0.1:1"}, CAFile: "no-ca", CertFile: "no-cert", KeyFile: "no-key"}, "tls files"},
		"short lease": {etcd.Options{Endpoints: []string{"http://127.0.0.1:1"}, TTL: time.Second}, "lease TTL"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := etcd.Dial(tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Dial() = %v, want %q", err, tt.want)
			}
		})
	}
}

// A server that takes connections and never answers: each call has a deadline
// of its own.
func TestSilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := mustDial(t, etcd.Options{Endpoints: []string{"http://" + l.Addr().String()}, Timeout: 100 * time.Millisecond})
	_, _, getErr := s.Get(t.Context(), "k")
	_, _, listErr := s.List(t.Context(), "")
	_, commitErr := s.Commit(t.Context(), put("k", "v"))
	for what, err := range map[string]error{"Get": getErr, "List": listErr, "Commit": commitErr} {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s = %v, want ErrUnavailable", what, err)
		}
	}
}

// The answer of a Commit that was done is lost. It must not be sent again: the
// second would find its key, and say that nothing was written.
func TestLostAnswerIsNoConflict(t *testing.T) {
	dir := testDir(t)
	e := startUp(t, etcd.EmbeddedOptions{Dir: dir})
	p := newProxy(t, filepath.Join(dir, "member.sock"))
	s := mustDial(t, etcd.Options{Endpoints: []string{"http://" + p.addr()}})
	wantAbsent := func(key string) {
		if _, ok, err := s.Get(within(t), key); ok || err != nil {
			t.Fatalf("Get(%q) = %t, %v", key, ok, err)
		}
	}
	wantAbsent("claim")
	p.mute.Store(true)
	errs := make(chan error, 1)
	go func() {
		_, err := s.Commit(within(t), store.Txn{Ifs: []store.Cond{{Key: "claim"}}, Puts: []store.Put{{Key: "claim"}}})
		errs <- err
	}()
	eventually(t, "the claim is in the store", func() bool {
		_, ok, _ := e.Get(within(t), "claim")
		return ok
	})
	p.mute.Store(false)
	p.cut()
	if err := <-errs; !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrConflict) {
		t.Errorf("Commit whose answer is lost = %v, want ErrUnavailable", err)
	}
	wantAbsent("another") // reads go on over a new connection
}

// proxy passes TCP connections on to a unix socket, and loses answers when mute.
type proxy struct {
	l    net.Listener
	to   string
	mute atomic.Bool

	mu    sync.Mutex
	conns []net.Conn
}

func newProxy(t *testing.T, socket string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, to: socket}
	t.Cleanup(func() { _ = l.Close(); p.cut() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", p.to)
			if err != nil {
				_ = in.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, in, out)
			p.mu.Unlock()
			go func() { _, _ = io.Copy(out, in) }()
			go func() { _, _ = io.Copy(answers{in, &p.mute}, out) }()
		}
	}()
	return p
}

func (p *proxy) addr() string { return p.l.Addr().String() }

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

type answers struct {
	io.Writer
	mute *atomic.Bool
}

func (a answers) Write(b []byte) (int, error) {
	if a.mute.Load() {
		return len(b), nil
	}
	return a.Writer.Write(b)
}

// An external server with mutual TLS.
func TestDialTLS(t *testing.T) {
	dir := testDir(t)
	files, err := etcd.PeerTLS(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	address := serveTLS(t, filepath.Join(dir, "etcd"), files)
	o := etcd.Options{Endpoints: []string{address}, CAFile: files.TrustedCAFile, CertFile: files.CertFile, KeyFile: files.KeyFile}
	s := mustDial(t, o)
	mustPut(t, s, "k", "v")
	wantValue(t, s, "k", "v")

	strangers, err := etcd.PeerTLS(testDir(t), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, wrong := range map[string]etcd.Options{
		"certificate of another CA": {Endpoints: o.Endpoints, CAFile: o.CAFile, CertFile: strangers.CertFile, KeyFile: strangers.KeyFile},
		"server of another CA":      {Endpoints: o.Endpoints, CAFile: strangers.TrustedCAFile, CertFile: o.CertFile, KeyFile: o.KeyFile},
	} {
		wrong.Timeout = time.Second
		if _, _, err := mustDial(t, wrong).Get(t.Context(), "k"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: Get = %v, want ErrUnavailable", name, err)
		}
	}
}

// serveTLS runs etcd in this process, and returns its client URL.
func serveTLS(t *testing.T, dir string, files transport.TLSInfo) string {
	t.Helper()
	client := url.URL{Scheme: "https", Host: freeAddress(t)}
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel, cfg.LogOutputs = dir, "fatal", []string{os.DevNull}
	peer := url.URL{Scheme: "https", Host: "127.0.0.1:0"}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.ClientTLSInfo, cfg.PeerTLSInfo = files, files
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	<-server.Server.ReadyNotify()
	return client.String()
}
