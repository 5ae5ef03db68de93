package servers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signalbox/signalbox/test/servers"
)

// sample asks for one instant value and returns it as Prometheus writes it;
// "" where the answer is empty.
func sample(ctx context.Context, base, query string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/v1/query?query="+url.QueryEscape(query), http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || len(answer.Data.Result) == 0 {
		return "", err
	}
	return fmt.Sprint(answer.Data.Result[0].Value[1]), nil
}

func awaitSample(t *testing.T, base, query, want string) {
	t.Helper()
	servers.Await(t, servers.Patience, query, func(ctx context.Context) error {
		got, err := sample(ctx, base, query)
		if err == nil && got != want {
			err = fmt.Errorf("got %q, want %q", got, want)
		}
		return err
	})
}

func TestPrometheusScrapesTheExporter(t *testing.T) {
	t.Parallel()
	e := servers.Exporter(t)
	e.Set("lag_seconds", 0.5, "cluster", "eu")
	p := servers.Prometheus(t, servers.PrometheusOptions{Scrape: map[string][]string{"pg": {e.Host()}}})
	awaitSample(t, p.URL, `lag_seconds{cluster="eu", job="pg"}`, "0.5")
	e.Set("lag_seconds", 2, "cluster", "eu")
	awaitSample(t, p.URL, `lag_seconds`, "2")
	e.Remove("lag_seconds", "cluster", "eu")
	awaitSample(t, p.URL, `lag_seconds`, "")
	for _, broken := range []func(){e.Fail, e.Hang} {
		broken()
		awaitSample(t, p.URL, `up{job="pg"}`, "0")
		e.Recover()
		awaitSample(t, p.URL, `up{job="pg"}`, "1")
	}
}

func TestPauseKillRestart(t *testing.T) {
	t.Parallel()
	p := servers.Prometheus(t, servers.PrometheusOptions{})
	p.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := sample(ctx, p.URL, "1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a paused server: got %v, want no answer", err)
	}
	p.Resume()
	awaitSample(t, p.URL, "vector(1)", "1")
	p.Kill()
	if _, err := sample(t.Context(), p.URL, "1"); err == nil {
		t.Error("a killed server answered")
	}
	p.Restart()
	awaitSample(t, p.URL, "vector(1)", "1")
}

func TestRuleReachesWebhookThroughTwoAlertmanagers(t *testing.T) {
	t.Parallel()
	bodies := make(chan string, 16)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		select {
		case bodies <- string(b):
		default:
		}
	}))
	defer hook.Close()
	config := `{route: {receiver: hook, group_wait: 0s, group_interval: 1s}, receivers: [{name: hook, webhook_configs: [{url: "` + hook.URL + `"}]}]}`
	first := servers.Alertmanager(t, servers.AlertmanagerOptions{Config: config, Cluster: true})
	second := servers.Alertmanager(t, servers.AlertmanagerOptions{Config: config, Peers: []*servers.AlertmanagerServer{first}})
	rules := `{groups: [{name: g, rules: [{alert: Ill, expr: "vector(1)", labels: {severity: critical}}]}]}`
	servers.Prometheus(t, servers.PrometheusOptions{Rules: []string{rules}, Alertmanagers: []string{first.URL, second.URL}})
	select {
	case body := <-bodies:
		if !strings.Contains(body, `"alertname":"Ill"`) {
			t.Errorf("webhook body: %s", body)
		}
	case <-time.After(servers.Patience):
		t.Fatal("no webhook")
	}
}

func TestKubeAPI(t *testing.T) {
	t.Parallel()
	k := servers.KubeAPI(t)
	admin := k.Client(servers.Admin)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "core"}}
	if _, err := admin.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := k.Client(servers.Daemon).CoreV1().ConfigMaps("core").Get(t.Context(), "core-env", metav1.GetOptions{})
	if !apierrors.IsForbidden(err) {
		t.Errorf("an account without a role: got %v, want forbidden", err)
	}
	servers.Await(t, servers.Patience, "audit", func(context.Context) error {
		if !slices.ContainsFunc(k.Audit(servers.Daemon), func(e servers.AuditEntry) bool {
			return e.Verb == "get" && e.ObjectRef.Name == "core-env" && e.ResponseStatus.Code == http.StatusForbidden
		}) {
			return fmt.Errorf("the request is not in the audit log")
		}
		return nil
	})
	k.Kill()
	k.Restart()
	if _, err := admin.CoreV1().Namespaces().Get(t.Context(), "core", metav1.GetOptions{}); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}
