// Package servers runs real servers for tests: Prometheus, Alertmanager, Loki, a
// Kubernetes API server, etcd, and PostgreSQL, Redis and RabbitMQ with their exporters
// as child processes, and an exporter in process whose gauges a test sets.
//
// Each listens on free ports of loopback, is ready when its constructor
// returns, dies with the test's process, and is stopped when its test ends; the
// end of its log is shown where the test failed. The programs come from the
// cache that `go run ./test/servers/install` fills; where one is missing a
// test is skipped, and fails where CI=true is set.
package servers

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers/cache"
)

// Patience is how long a server may take to do what is wanted of it: long, for a
// busy machine. startPatience is how long to be ready, where several start at once.
const (
	Patience      = 3 * time.Minute
	startPatience = 5 * time.Minute
)

// How often what is awaited is asked for: soon, and later once that was askedSoon times.
const (
	soon      = 20 * time.Millisecond
	askedSoon = 25
	later     = 100 * time.Millisecond
)

// Await asks until check returns nil, and fails the test with its last error
// when that takes longer than within. check's ctx ends with that time. It asks
// every 20 ms for the first half second, then ten times a second: what tests wait
// for runs on the same processors.
func Await(t testing.TB, within time.Duration, what string, check func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := poll(ctx, check); err != nil {
		t.Fatalf("%s: not within %s: %v", what, within, err)
	}
}

// poll asks check until it returns nil, and returns its last error when ctx ends before.
func poll(ctx context.Context, check func(ctx context.Context) error) error {
	tick := time.NewTicker(soon)
	defer tick.Stop()
	err := check(ctx)
	for asked := 1; err != nil; asked++ {
		if asked == askedSoon {
			tick.Reset(later)
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
			if next := check(ctx); next == nil || ctx.Err() == nil {
				err = next
			}
		}
	}
	return nil
}

// program returns the path of a program in the cache, which needs other files.
// With -short, which is for the inner loop, the test is left out.
func program(t testing.TB, b cache.Binary, needs ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skipf("-short leaves out what needs a real server (%s)", b.Name)
	}
	path, err := b.Path()
	if err != nil {
		t.Fatal(err)
	}
	if exists(append(needs, path)) {
		return path
	}
	lacks(t, b.Name, b.Version)
	return ""
}

func exists(paths []string) bool {
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return false
		}
	}
	return true
}

// ready asks a URL for 200.
func ready(client *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := client.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, resp.Status)
		}
		return nil
	}
}
