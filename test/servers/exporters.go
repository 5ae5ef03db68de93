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

// BlackboxExporter starts a blackbox_exporter. Its module https asks for any
// page, and takes any certificate.
func BlackboxExporter(t testing.TB) *Server {
	t.Helper()
	path, file := program(t, cache.BlackboxExporter()), filepath.Join(t.TempDir(), "blackbox.yaml")
	writeFile(t, file, []byte("modules: {https: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, tls_config: {insecure_skip_verify: true}}}}\n"))
	return start(t, launch{
		name: "blackbox_exporter", client: http.DefaultClient, probe: "/-/healthy", url: loopback("http"),
		argv: func(port int) []string {
			return []string{path, "--config.file=" + file, fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port)}
		},
	})
}
