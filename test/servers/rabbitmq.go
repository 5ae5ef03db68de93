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
	"testing"

	"github.com/signalbox/signalbox/test/servers/cache"
)

// RabbitServer is a running RabbitMQ with its management API at URL, its
// metrics, and shovels as consumers.
type RabbitServer struct {
	*Server
	// Metrics is "host:port" of its own exporter, rabbitmq_prometheus.
	Metrics string

	t testing.TB
}

// RabbitMQ starts one node.
func RabbitMQ(t testing.TB) *RabbitServer {
	t.Helper()
	b := cache.RabbitMQ()
	tree := bundle(t, b)
	erlang, err := filepath.Glob(filepath.Join(tree, "usr/lib/erlang/erts-*/bin"))
	if err != nil || len(erlang) != 1 {
		t.Fatalf("%s holds %d Erlangs, want 1", tree, len(erlang))
	}
	dir, names := t.TempDir(), freePort(t)
	// The Erlang of a package that is unpacked elsewhere is told where it is. Its
	// daemon for names is a child of the test, and does not stay behind.
	env := append(
		libraries(b, tree),
		"ROOTDIR="+filepath.Join(tree, "usr/lib/erlang"), "BINDIR="+erlang[0], "EMU=beam", "PROGNAME=erl", "HOME="+dir,
		"ERL_EPMD_ADDRESS=127.0.0.1", fmt.Sprintf("ERL_EPMD_PORT=%d", names),
	)
	start(t, launch{
		name: "epmd", url: func(int) string { return fmt.Sprintf("epmd://127.0.0.1:%d", names) }, how: how{env: env, dir: dir},
		argv:  func(int) []string { return []string{filepath.Join(erlang[0], "epmd")} },
		check: func(ctx context.Context, _ int) error { return listening(ctx, names) },
	})
	r := &RabbitServer{t: t}
	r.node(b.Find(tree), filepath.Join(erlang[0], "erlexec"), how{env: env, dir: dir})
	return r
}

// node starts the broker as Debian's rabbitmq-server does, without its shells.
func (r *RabbitServer) node(plugins, erlexec string, h how) {
	r.t.Helper()
	enabled, conf := filepath.Join(h.dir, "enabled_plugins"), filepath.Join(h.dir, "rabbitmq.conf")
	writeFile(r.t, enabled, []byte("[rabbitmq_management,rabbitmq_prometheus,rabbitmq_shovel,rabbitmq_shovel_management].\n"))
	h.env = append(
		h.env, "ERL_LIBS="+plugins, "RABBITMQ_PLUGINS_DIR="+plugins, "RABBITMQ_HOME="+filepath.Dir(plugins),
		"RABBITMQ_NODENAME=test@localhost", "RABBITMQ_MNESIA_BASE="+filepath.Join(h.dir, "mnesia"),
		"RABBITMQ_LOGS=-", "RABBITMQ_ENABLED_PLUGINS_FILE="+enabled, "RABBITMQ_CONFIG_FILE="+conf,
		"RABBITMQ_CONF_ENV_FILE="+filepath.Join(h.dir, "none"), "RABBITMQ_ADVANCED_CONFIG_FILE="+filepath.Join(h.dir, "none.config"),
	)
	r.Server = start(r.t, launch{
		name: "rabbitmq", url: loopback("http"), how: h,
		argv: func(port int) []string {
			amqp, metrics, dist := freePort(r.t), freePort(r.t), freePort(r.t)
			r.Metrics = fmt.Sprintf("127.0.0.1:%d", metrics)
			writeFile(r.t, conf, fmt.Appendf(nil, `listeners.tcp.1 = 127.0.0.1:%d
distribution.listener.interface = 127.0.0.1
distribution.listener.port_range.min = %d
distribution.listener.port_range.max = %d
management.tcp.ip = 127.0.0.1
management.tcp.port = %d
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = %d
disk_free_limit.absolute = 50MB
`, amqp, dist, dist, port, metrics))
			return []string{
				erlexec, "-pa", "", "-noinput", "-s", "rabbit", "boot", "-boot", "start_sasl", "+W", "w", "+S", "2:2", "+sbwt", "none",
				"-syslog", "logger", "[]", "-syslog", "syslog_error_logger", "false", "-kernel", "prevent_overlapping_partitions", "false",
			}
		},
		check: func(ctx context.Context, port int) error {
			_, err := r.call(ctx, fmt.Sprintf("http://127.0.0.1:%d", port), http.MethodGet, "/api/health/checks/local-alarms", nil)
			if err == nil {
				err = ready(http.DefaultClient, "http://"+r.Metrics+"/metrics")(ctx)
			}
			return err
		},
	})
}

// Declare makes a queue.
func (r *RabbitServer) Declare(queue string) {
	r.t.Helper()
	r.must(http.MethodPut, "/api/queues/%2F/"+url.PathEscape(queue), map[string]any{"durable": true})
}

// Publish sends n messages to a queue, with the time (seconds since the epoch)
// at which they say that they were published.
func (r *RabbitServer) Publish(queue string, n int, at int64) {
	r.t.Helper()
	for range n {
		r.must(http.MethodPost, "/api/exchanges/%2F/amq.default/publish", map[string]any{
			"properties": map[string]any{"timestamp": at}, "routing_key": queue, "payload": "{}", "payload_encoding": "string",
		})
	}
}

// Consume starts a consumer that takes messages from one queue and puts them
// into another, and acknowledges each. Stop ends it by its name.
func (r *RabbitServer) Consume(name, from, to string) {
	r.t.Helper()
	r.must(http.MethodPut, "/api/parameters/shovel/%2F/"+url.PathEscape(name), map[string]any{"value": map[string]any{
		"src-protocol": "amqp091", "src-uri": "amqp://", "src-queue": from,
		"dest-protocol": "amqp091", "dest-uri": "amqp://", "dest-queue": to, "ack-mode": "on-confirm",
	}})
}

// Leave ends a consumer.
func (r *RabbitServer) Leave(name string) {
	r.t.Helper()
	r.must(http.MethodDelete, "/api/parameters/shovel/%2F/"+url.PathEscape(name), nil)
}

func (r *RabbitServer) must(method, path string, body any) {
	r.t.Helper()
	if out, err := r.call(r.t.Context(), r.URL, method, path, body); err != nil {
		r.t.Fatalf("rabbitmq: %s %s: %v\n%s", method, path, err, out)
	}
}

func (r *RabbitServer) call(ctx context.Context, base, method, path string, body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth("guest", "guest") // RabbitMQ's own account, which it takes on loopback only
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("it answers %s", resp.Status)
	}
	return out, err
}
