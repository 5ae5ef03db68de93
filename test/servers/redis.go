package servers

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/signalbox/signalbox/test/servers/cache"
)

// RedisServer is a running Redis that keeps nothing on disk.
type RedisServer struct {
	*Server
	Port int

	how how
	bin string
	t   testing.TB
}

// Redis starts a master.
func Redis(t testing.TB) *RedisServer {
	t.Helper()
	return redis(t)
}

// Replica starts a replica of r. timeout is how many seconds it waits for its
// master, and its master for it.
func (r *RedisServer) Replica(timeout int) *RedisServer {
	r.t.Helper()
	seconds := fmt.Sprint(timeout)
	r.Exec("CONFIG", "SET", "repl-timeout", seconds)
	return redis(r.t, "--replicaof", "127.0.0.1", fmt.Sprint(r.Port), "--repl-timeout", seconds, "--repl-ping-replica-period", "1")
}

func redis(t testing.TB, more ...string) *RedisServer {
	t.Helper()
	b := cache.Redis()
	tree := bundle(t, b)
	r := &RedisServer{t: t, bin: filepath.Join(tree, "usr/bin"), how: how{env: libraries(b, tree), dir: t.TempDir()}}
	r.Server = start(t, launch{
		name: "redis", how: r.how, url: loopback("redis"),
		argv: func(port int) []string {
			r.Port = port
			return append([]string{
				filepath.Join(r.bin, "redis-server"), "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
			}, more...)
		},
		check: func(ctx context.Context, _ int) error {
			got, err := r.Do(ctx, "PING")
			if err == nil && got != "PONG" {
				err = fmt.Errorf("it answers %q", got)
			}
			return err
		},
	})
	return r
}

// Do runs one command and returns its answer as redis-cli shows it.
func (r *RedisServer) Do(ctx context.Context, command ...string) (string, error) {
	return run(ctx, r.how, append([]string{filepath.Join(r.bin, "redis-cli"), "-h", "127.0.0.1", "-p", fmt.Sprint(r.Port), "-e"}, command...)...)
}

// Exec runs a command that must not fail.
func (r *RedisServer) Exec(command ...string) string {
	r.t.Helper()
	out, err := r.Do(r.t.Context(), command...)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}
