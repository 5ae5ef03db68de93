package etcd_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/etcd"
)

// patience bounds every wait; no test passes by reaching it.
const patience = time.Minute

// TestMain lets the test binary be the member, and a daemon to be killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case etcd.MemberCommand:
			if err := etcd.RunMember(context.Background(), os.Stdin, os.Stdout); err != nil {
				os.Exit(1)
			}
			return
		case daemonCommand:
			runDaemon(os.Args[2])
			return
		}
	}
	os.Exit(m.Run())
}

const daemonCommand = "test-daemon"

// runDaemon leads on dir until it is killed, and says so on stdout.
func runDaemon(dir string) {
	e, err := etcd.Start(context.Background(), etcd.EmbeddedOptions{Dir: dir, TTL: leaseTTL})
	if err == nil {
		err = e.Await(context.Background())
	}
	if err == nil {
		_, err = e.Lead(context.Background(), "engine")
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("leads", e.Status().PID)
	select {}
}

// leaseTTL is long, so that a test sees it when a predecessor's lease is
// waited for.
const leaseTTL = 300 * time.Second

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// testDir is short enough for a socket, and so not of t.TempDir.
func testDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sbx")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "data")
}

// start runs a member on o.Dir, a new one where it is empty, until the test ends.
func start(t testing.TB, o etcd.EmbeddedOptions) *etcd.Embedded {
	t.Helper()
	if o.Dir == "" {
		o.Dir = testDir(t)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	e, err := etcd.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return e
}

func startUp(t testing.TB, o etcd.EmbeddedOptions) *etcd.Embedded {
	t.Helper()
	e := start(t, o)
	if err := e.Await(within(t)); err != nil {
		t.Fatal(err)
	}
	return e
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx := within(t); !ok(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func put(key, value string) store.Txn {
	return store.Txn{Puts: []store.Put{{Key: key, Value: []byte(value)}}}
}

func mustPut(t testing.TB, s store.Store, key, value string) {
	t.Helper()
	if _, err := s.Commit(within(t), put(key, value)); err != nil {
		t.Fatal(err)
	}
}

func wantValue(t testing.TB, s store.Store, key, value string) {
	t.Helper()
	kv, ok, err := s.Get(within(t), key)
	if err != nil || !ok || string(kv.Value) != value {
		t.Fatalf("Get(%q) = %q, %t, %v, want %q", key, kv.Value, ok, err, value)
	}
}
