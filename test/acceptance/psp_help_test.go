package acceptance

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/signalbox/signalbox/test/servers"
)

// pspProvider is the payment service provider: where events are sent again, each
// of which it notes, and its public status page.
type pspProvider struct {
	URL string

	mu     sync.Mutex
	status string         // of its components
	sent   map[string]int // how often each event came
	inIll  []string       // those that came while it was degraded
}

func newPSPProvider(t *testing.T) *pspProvider {
	t.Helper()
	p := &pspProvider{status: "operational", sent: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /events/{id}", func(_ http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		id := r.PathValue("id")
		if p.sent[id]++; p.status != "operational" {
			p.inIll = append(p.inIll, id)
		}
	})
	mux.HandleFunc("GET /api/v2/summary.json", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(p.summary()) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// summary is its public page, as a page of Statuspage has it.
func (p *pspProvider) summary() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	type m = map[string]any
	parts := make([]m, 0, 2)
	for i, name := range []string{"Webhooks", "Payouts"} {
		parts = append(parts, m{"id": fmt.Sprintf("%012d", i+1), "name": name, "status": p.status, "page_id": "psp000000000"})
	}
	indicator := "none"
	if p.status != "operational" {
		indicator = "minor"
	}
	body, err := json.Marshal(m{
		"page": m{"id": "psp000000000", "name": "PSP", "url": "https://status.psp.example"}, "status": m{"indicator": indicator, "description": p.status},
		"components": parts, "incidents": []m{}, "scheduled_maintenances": []m{},
	})
	if err != nil {
		return nil
	}
	return body
}

// says puts all of its components to a status.
func (p *pspProvider) says(status string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
}

// only asserts that it was sent these events, each once, and nothing else.
func (p *pspProvider) only(ids ...string) func() error {
	return func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.inIll) > 0 {
			return fmt.Errorf("sent while it was degraded: %q", p.inIll)
		}
		for id, n := range p.sent {
			if n != 1 || !slices.Contains(ids, id) {
				return fmt.Errorf("%s was sent %d times, of %q", id, n, ids)
			}
		}
		if len(p.sent) != len(ids) {
			return fmt.Errorf("%d events were sent, want %d: %v", len(p.sent), len(ids), p.sent)
		}
		return nil
	}
}

// pspSigning is what the sender of events signs them with.
const pspSigning = "whsec-of-the-events"

func pspSignature(payload string) string {
	m := hmac.New(sha256.New, []byte(pspSigning))
	m.Write([]byte(payload))
	return hex.EncodeToString(m.Sum(nil))
}

// pspQueue is the retry queue: a table of a real PostgreSQL.
type pspQueue struct{ *servers.PostgresServer }

const pspTable = "CREATE TABLE retries (event_id text PRIMARY KEY, payload text NOT NULL, signature text NOT NULL, failed_at timestamptz NOT NULL DEFAULT now())"

// pspDepth is what its exporter says of it, beside its own.
const pspDepth = `
psp_retries:
  query: "SELECT 'psp-retries' AS queue, count(*) AS depth, COALESCE(EXTRACT(EPOCH FROM now() - min(failed_at)), 0) AS age_seconds FROM retries"
  metrics:
    - queue: {usage: LABEL, description: "Its name."}
    - depth: {usage: GAUGE, description: "Events that wait to be sent again."}
    - age_seconds: {usage: GAUGE, description: "How long the oldest has waited."}
`

func pspPayload(id string) string { return fmt.Sprintf(`{"event":"%s","type":"payment.settled"}`, id) }

// add puts events into the queue, well signed or not.
func (q pspQueue) add(signed bool, ids ...string) {
	rows := make([]string, len(ids))
	for i, id := range ids {
		signature := pspSignature(pspPayload(id))
		if !signed {
			signature = pspSignature("something else")
		}
		rows[i] = fmt.Sprintf("('%s','%s','%s')", id, pspPayload(id), signature)
	}
	for chunk := range slices.Chunk(rows, 500) {
		q.Exec("INSERT INTO retries (event_id, payload, signature) VALUES " + strings.Join(chunk, ","))
	}
}

// holds asserts how many events are in the queue.
func (q pspQueue) holds(n int) func() error {
	return func() error {
		if got := q.Exec("SELECT count(*) FROM retries"); strings.TrimSpace(got) != fmt.Sprint(n) {
			return fmt.Errorf("the queue holds %s events, want %d", strings.TrimSpace(got), n)
		}
		return nil
	}
}

// pspKubelet runs the replay's pods, as a node would: there is none. What it
// runs is scripts/replay_psp_webhooks.py, by the arguments of the container.
type pspKubelet struct {
	admin kubernetes.Interface
	queue pspQueue
	psp   *pspProvider

	mu    sync.Mutex
	asked map[string]int // how often a pod was started with each id
	fails []error
}

// runPSPKubelet runs pods of one namespace until the test ends.
func runPSPKubelet(t *testing.T, k *pspKubelet) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-done
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, err := range k.fails {
			t.Errorf("the kubelet: %v", err)
		}
	})
	k.asked = map[string]int{}
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		ran := map[types.UID]corev1.PodPhase{}
		for ctx.Err() == nil {
			if err := k.round(ctx, ran); err != nil && ctx.Err() == nil {
				k.mu.Lock()
				k.fails = append(k.fails, err)
				k.mu.Unlock()
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	}()
}

// round runs the pods that were not run yet, each once, and says how they ended.
func (k *pspKubelet) round(ctx context.Context, ran map[types.UID]corev1.PodPhase) error {
	pods, err := k.admin.CoreV1().Pods("payments").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		if ran[pod.UID] == "" {
			ran[pod.UID] = corev1.PodSucceeded
			ok, err := k.replay(ctx, pod.Spec.Containers[0].Args)
			if err != nil {
				return err
			}
			if !ok {
				ran[pod.UID] = corev1.PodFailed
			}
		}
		pod.Status.Phase = ran[pod.UID]
		if _, err := k.admin.CoreV1().Pods("payments").UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// replay is the script: it sends events again that are in the queue and well
// signed, where its arguments ask for that, and takes them off it. ok is false
// where an event was refused.
func (k *pspKubelet) replay(ctx context.Context, args []string) (ok bool, err error) {
	onlyQueued, verify, ids := false, false, []string(nil)
	for _, a := range args {
		id, isID := strings.CutPrefix(a, "--event-id=")
		switch {
		case a == "--only-queued":
			onlyQueued = true
		case a == "--verify-signature":
			verify = true
		case isID:
			ids = append(ids, id)
		default:
			return false, fmt.Errorf("argument %q is not known", a)
		}
	}
	k.mu.Lock()
	for _, id := range ids {
		k.asked[id]++
	}
	k.mu.Unlock()
	queued, err := k.read(ctx, ids)
	if err != nil {
		return false, err
	}
	ok = true
	var done []string
	for _, id := range ids {
		event, there := queued[id]
		switch {
		case !there && onlyQueued:
			continue
		case verify && !hmac.Equal([]byte(event[1]), []byte(pspSignature(event[0]))):
			ok = false
			continue
		}
		if err := k.send(ctx, id, event[0]); err != nil {
			return false, err
		}
		done = append(done, id)
	}
	if len(done) > 0 {
		_, err = k.queue.Query(ctx, "DELETE FROM retries WHERE event_id IN ('"+strings.Join(done, "','")+"')")
	}
	return ok, err
}

// read is what the queue holds of some events: payload and signature.
func (k *pspKubelet) read(ctx context.Context, ids []string) (map[string][2]string, error) {
	rows, err := k.queue.Query(ctx, "SELECT event_id, payload, signature FROM retries WHERE event_id IN ('"+strings.Join(ids, "','")+"')")
	if err != nil {
		return nil, err
	}
	queued := map[string][2]string{}
	for line := range strings.Lines(rows) {
		if f := strings.Split(strings.TrimSpace(line), "|"); len(f) == 3 {
			queued[f[0]] = [2]string{f[1], f[2]}
		}
	}
	return queued, nil
}

func (k *pspKubelet) send(ctx context.Context, id, payload string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.psp.URL+"/events/"+id, strings.NewReader(payload))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("event %s: %s", id, resp.Status)
	}
	return nil
}

// once asserts that no pod was ever started with an id that another had, and
// that these were given to one.
func (k *pspKubelet) once(ids ...string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, n := range k.asked {
		if n != 1 {
			return fmt.Errorf("%d pods were started with %s", n, id)
		}
	}
	for _, id := range ids {
		if k.asked[id] != 1 {
			return fmt.Errorf("no pod was started with %s", id)
		}
	}
	return nil
}

// pspCluster prepares the namespace of the replay: its suspended CronJob, and
// the daemon's rights as the documentation of the job has them.
func pspCluster(t *testing.T, k *servers.KubeServer) kubernetes.Interface {
	t.Helper()
	admin, ctx, suspended := k.Client(servers.Admin), t.Context(), true
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "payments"}}, metav1.CreateOptions{}))
	must(admin.BatchV1().CronJobs("payments").Create(ctx, &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: "replay-psp-webhooks"},
		Spec: batchv1.CronJobSpec{Schedule: "0 0 * * *", Suspend: &suspended, JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			ServiceAccountName: "replay", RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{Name: "replay", Image: "registry.example/replay:1", Command: []string{"scripts/replay_psp_webhooks.py"}}},
		}}}}},
	}, metav1.CreateOptions{}))
	must(admin.RbacV1().Roles("payments").Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "signalbox"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"batch"}, Resources: []string{"cronjobs"}, ResourceNames: []string{"replay-psp-webhooks"}, Verbs: []string{"get"}},
		{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"create", "get"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}},
		{APIGroups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get"}},
	}}, metav1.CreateOptions{}))
	must(admin.RbacV1().RoleBindings("payments").Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "signalbox"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "signalbox"},
		Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: servers.Daemon}},
	}, metav1.CreateOptions{}))
	return admin
}

// pspLimit is the payout limit: a key of a real Redis, whose own log of commands
// says what was ever written to it.
type pspLimit struct{ *servers.RedisServer }

const pspLimitKey = "payouts:per_minute"

func newPSPLimit(t *testing.T) pspLimit {
	t.Helper()
	r := pspLimit{servers.Redis(t)}
	r.Exec("SET", pspLimitKey, "100/min")
	r.Exec("CONFIG", "SET", "slowlog-max-len", "100000")
	r.Exec("CONFIG", "SET", "slowlog-log-slower-than", "0")
	return r
}

// wrote asserts which values the limit was set to, in their order, by all that
// ever wrote.
func (r pspLimit) wrote(want ...string) func() error {
	return func() error {
		var got []string
		lines := strings.Split(r.Exec("SLOWLOG", "GET", "-1"), "\n")
		for i := 0; i+2 < len(lines); i++ {
			if strings.EqualFold(lines[i], "set") && lines[i+1] == pspLimitKey {
				got = append(got, lines[i+2])
			}
		}
		slices.Reverse(got) // it tells the newest first
		if !slices.Equal(got, want) {
			return fmt.Errorf("the limit was set to %q, want %q", got, want)
		}
		return nil
	}
}
