package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers/cache"
)

// LokiOptions say what a Loki does.
type LokiOptions struct {
	// Tenants: each request must say whose logs it is about, and several may be
	// asked at once; else there are none.
	Tenants bool
	// Lines is max_entries_limit_per_query; 0: Loki's own, 5,000.
	Lines int
}

// LokiServer is a Loki in one process, with its data in the test's folder.
type LokiServer struct {
	*Server
	t testing.TB
}

// Loki starts a Loki.
func Loki(t testing.TB, o LokiOptions) *LokiServer {
	t.Helper()
	path := program(t, cache.Loki())
	dir := t.TempDir()
	file := filepath.Join(dir, "loki.yaml")
	writeFile(t, file, lokiConfig(t, dir, o))
	l := &LokiServer{t: t, Server: start(t, launch{
		name: "loki", client: http.DefaultClient, probe: "/ready", url: loopback("http"),
		argv: func(port int) []string {
			return []string{
				path, "-config.file=" + file, "-target=all", "-log.level=warn",
				fmt.Sprintf("-server.http-listen-port=%d", port), fmt.Sprintf("-server.grpc-listen-port=%d", freePort(t)),
			}
		},
	})}
	l.awaitReads()
	return l
}

// Restart starts Loki again, and waits until it reads what is pushed.
func (l *LokiServer) Restart() {
	l.t.Helper()
	l.Server.Restart()
	l.awaitReads()
}

// awaitReads waits until a line that was pushed is in an answer: for a moment
// after it says that it is ready, Loki answers 200 with nothing, since its
// querier does not know its ingester yet.
func (l *LokiServer) awaitReads() {
	l.t.Helper()
	const tenant = "ready"
	pushed := time.Now()
	l.Push(tenant, map[string]string{"app": "ready"}, Line{At: pushed, Text: "ready"})
	query := url.Values{"query": {`{app="ready"}`}, "start": {strconv.FormatInt(pushed.UnixNano(), 10)}}
	Await(l.t, Patience, "loki reads", func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL+"/loki/api/v1/query_range?"+query.Encode(), http.NoBody)
		if err != nil {
			return err
		}
		r.Header.Set("X-Scope-OrgID", tenant)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && !bytes.Contains(body, []byte(`"values"`)) {
			err = fmt.Errorf("%s: %s", resp.Status, body)
		}
		return err
	})
}

// lokiConfig is the configuration as JSON, which is YAML too. The rings are in
// memory, and the ingester is ready at once.
func lokiConfig(t testing.TB, dir string, o LokiOptions) []byte {
	t.Helper()
	type m = map[string]any
	limits := m{"reject_old_samples": false, "unordered_writes": true, "volume_enabled": false, "allow_structured_metadata": true}
	if o.Lines > 0 {
		limits["max_entries_limit_per_query"] = o.Lines
	}
	config := m{
		"auth_enabled": o.Tenants,
		"server":       m{"http_listen_address": "127.0.0.1", "grpc_listen_address": "127.0.0.1"},
		"common": m{
			"instance_addr": "127.0.0.1", "path_prefix": dir, "replication_factor": 1,
			"ring":    m{"kvstore": m{"store": "inmemory"}},
			"storage": m{"filesystem": m{"chunks_directory": filepath.Join(dir, "chunks"), "rules_directory": filepath.Join(dir, "rules")}},
		},
		"ingester": m{"lifecycler": m{"min_ready_duration": "0s", "final_sleep": "0s"}, "wal": m{"enabled": true, "dir": filepath.Join(dir, "wal")}},
		"schema_config": m{"configs": []m{{
			"from": "2020-01-01", "store": "tsdb", "object_store": "filesystem", "schema": "v13",
			"index": m{"prefix": "index_", "period": "24h"},
		}}},
		"limits_config": limits,
		"querier":       m{"multi_tenant_queries_enabled": o.Tenants},
		"analytics":     m{"reporting_enabled": false},
	}
	b, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Line is one line of a log.
type Line struct {
	At   time.Time
	Text string
}

// Push writes lines to a stream of a tenant ("" where there are none), and
// returns when Loki has them: they are in the answers from then on.
func (l *LokiServer) Push(tenant string, labels map[string]string, lines ...Line) {
	l.t.Helper()
	values := make([][2]string, len(lines))
	for i, line := range lines {
		values[i] = [2]string{strconv.FormatInt(line.At.UnixNano(), 10), line.Text}
	}
	body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{"stream": labels, "values": values}}})
	if err != nil {
		l.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(l.t.Context(), http.MethodPost, l.URL+"/loki/api/v1/push", bytes.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if tenant != "" {
		r.Header.Set("X-Scope-OrgID", tenant)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		l.t.Fatalf("push of %d lines: %s", len(lines), resp.Status)
	}
}
