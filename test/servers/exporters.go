package servers

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/signalbox/signalbox/test/servers/cache"
)

// PostgresExporter starts a postgres_exporter on a server. queries are what it
// exports beside its own, in its format.
func PostgresExporter(t testing.TB, p *PostgresServer, queries string) *Server {
	t.Helper()
	path, file := program(t, cache.PostgresExporter()), filepath.Join(t.TempDir(), "queries.yaml")
	writeFile(t, file, []byte(queries))
	return start(t, launch{
		name: "postgres_exporter", client: http.DefaultClient, probe: "/metrics", url: loopback("http"),
		how: how{env: append(os.Environ(), "DATA_SOURCE_NAME="+p.DSN())},
		argv: func(port int) []string {
			return []string{path, fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port), "--extend.query-path=" + file, "--log.level=warn"}
		},
	})
}

// RedisExporter starts a redis_exporter on a server.
func RedisExporter(t testing.TB, r *RedisServer) *Server {
	t.Helper()
	path := program(t, cache.RedisExporter())
	return start(t, launch{
		name: "redis_exporter", client: http.DefaultClient, probe: "/metrics", url: loopback("http"),
		argv: func(port int) []string {
			return []string{path, fmt.Sprintf("-redis.addr=redis://127.0.0.1:%d", r.Port), fmt.Sprintf("-web.listen-address=127.0.0.1:%d", port), "-connection-timeout=2s"}
		},
	})
}
