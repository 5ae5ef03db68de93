package acceptance

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/signalbox/signalbox/test/servers"
)

// The run-book "deploy", its monitoring: an Application of Argo CD is out of sync
// and then degraded, as a real API server tells, and a run of the deploy fails.
// Each is announced once, with a link to it, in a thread that is brought to its end
// in place; the daemon changes nothing.
func TestRunbookDrift(t *testing.T) {
	t.Parallel()
	d := newDrift(t)
	d.configure("auto")
	d.start()
	d.seen()
	d.application("OutOfSync", "Healthy")
	d.eventually("drift to be announced", d.desk.announced("https://argocd.example/applications/argocd/shop"))
	d.application("OutOfSync", "Degraded")
	d.deploy("failure")
	d.eventually("the failed run to be announced", d.desk.announced("https://argocd.example/applications/argocd/shop", "https://github.com/acme/shop/actions/runs/105"))
	d.steadily(3*time.Second, "each in its one thread", d.desk.announced("argocd/shop", "deploy/acme/shop"))
	d.application("Synced", "Healthy")
	d.deploy("failure", "success")
	d.eventually("the incidents to end", d.allEnded)
	d.eventually("the threads to end in place", d.desk.ended)
	d.untouched()
	d.unpaged()
}

// In shadow nothing is said.
func TestRunbookDriftInShadow(t *testing.T) {
	t.Parallel()
	d := newDrift(t)
	d.configure("shadow")
	d.start()
	d.seen()
	d.application("OutOfSync", "Healthy")
	d.eventually("the record of what would be said", func() error {
		if said := d.deployExplained("drift"); !strings.Contains(said, "policy deploy-drift only watches") {
			return fmt.Errorf("explain says %s", said)
		}
		if len(d.pages("argocd/shop")) == 0 {
			return fmt.Errorf("nobody is paged")
		}
		return nil
	})
	d.steadily(4*time.Second, "nothing is said", d.desk.announced())
	d.untouched()
}

// The daemon is killed at some moment of it: each is still announced in one
// thread, which is brought to its end once.
func TestRunbookDriftKilled(t *testing.T) {
	t.Parallel()
	d := newDrift(t)
	d.configure("auto")
	d.start()
	d.seen()
	seed := uint64(time.Now().UnixNano())
	pause := time.Duration(rand.New(rand.NewPCG(seed, 0)).Int64N(int64(3 * time.Second))) //nolint:gosec // a moment, no secret
	t.Logf("seed %d: killed %v after the first incident was opened", seed, pause)
	d.application("OutOfSync", "Degraded")
	d.deploy("failure")
	d.eventually("an incident", func() error {
		if n := len(d.status().Incidents); n == 0 {
			return fmt.Errorf("none is open")
		}
		return nil
	})
	killed := time.NewTimer(pause)
	defer killed.Stop()
	<-killed.C
	d.kill()
	d.launch()
	d.ready()
	d.eventually("both to be announced", d.desk.announced("argocd/shop", "deploy/acme/shop"))
	d.application("Synced", "Healthy")
	d.deploy("failure", "success")
	d.eventually("the incidents to end", d.allEnded)
	d.eventually("the threads to end in place", d.desk.ended)
	d.steadily(3*time.Second, "nothing more is announced", d.desk.announced("argocd/shop", "deploy/acme/shop"))
	d.untouched()
}

// The daemon is killed when Slack has taken the announcement, before it knows: it
// is found by the incident's id, and not said again.
func TestRunbookDriftKilledAsItIsSaid(t *testing.T) {
	t.Parallel()
	d := newDrift(t)
	d.configure("auto")
	d.start()
	d.seen()
	h := d.desk.door.holdNextAnswer()
	d.application("OutOfSync", "Degraded")
	d.killedAt("the announcement", h)
	d.eventually("the doubt to be settled", func() error {
		if said := d.deployExplained("drift"); !strings.Contains(said, "its runbook only tells, and has told") {
			return fmt.Errorf("explain says %s", said)
		}
		return nil
	})
	d.steadily(3*time.Second, "it is said once", d.desk.announced("argocd/shop"))
	d.application("Synced", "Healthy")
	d.eventually("the incident to end", d.allEnded)
	d.eventually("its thread to end in place", d.desk.ended)
	d.steadily(3*time.Second, "nothing more is announced", d.desk.announced("argocd/shop"))
	d.untouched()
}

// drift is an Application of Argo CD in a real API server, with GitHub and Slack.
type drift struct {
	*box
	hub  *deployHub
	desk *deployDesk
	kube *servers.KubeServer
	apps dynamic.ResourceInterface
}

func newDrift(t *testing.T) *drift {
	t.Helper()
	d := &drift{box: newBox(t), hub: newDeployHub(t), desk: newDeployDesk(t), kube: servers.KubeAPI(t)}
	d.apps = deployArgo(t, d.kube, "list", "watch")
	app := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": map[string]any{"name": "shop", "namespace": "argocd"},
		"spec":   map[string]any{"project": "default", "destination": map[string]any{"namespace": "core", "server": "https://kubernetes.default.svc"}, "source": map[string]any{"repoURL": "https://github.com/acme/shop", "path": "deploy"}},
		"status": map[string]any{"sync": map[string]any{"status": "Synced"}, "health": map[string]any{"status": "Healthy"}},
	}}
	if _, err := d.apps.Create(t.Context(), app, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return d
}

// deployArgo defines Argo CD's Applications in an API server, and lets the daemon
// do so much with those of namespace argocd.
func deployArgo(t *testing.T, kube *servers.KubeServer, verbs ...string) dynamic.ResourceInterface {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	apps, ctx, admin := kube.ArgoApplications(), t.Context(), kube.Client(servers.Admin)
	_, err := admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "argocd"}}, metav1.CreateOptions{})
	must(err)
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "signalbox"}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{"argoproj.io"}, Resources: []string{"applications"}, Verbs: verbs}}}
	_, err = admin.RbacV1().Roles("argocd").Create(ctx, role, metav1.CreateOptions{})
	must(err)
	_, err = admin.RbacV1().RoleBindings("argocd").Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "signalbox"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "signalbox"},
		Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: servers.Daemon}},
	}, metav1.CreateOptions{})
	must(err)
	return apps.Namespace("argocd")
}

// application is what Argo CD says of the Application from now on.
func (d *drift) application(sync, health string) {
	d.t.Helper()
	body := fmt.Sprintf(`{"status":{"sync":{"status":%q},"health":{"status":%q}}}`, sync, health)
	if _, err := d.apps.Patch(d.t.Context(), "shop", types.MergePatchType, []byte(body), metav1.PatchOptions{}); err != nil {
		d.t.Fatal(err)
	}
}

// deploy has runs of the deploy end so, the last one now.
func (d *drift) deploy(conclusions ...string) {
	runs := d.hub.deploys()
	for i, conclusion := range conclusions {
		runs = append(runs, deployRun(int64(105+i), "v1.3.0", conclusion, time.Duration(len(conclusions)-i)*time.Second))
	}
	d.hub.SetRuns(deployProd, runs...)
}

// seen waits until both sources were read: only what was seen well is announced.
func (d *drift) seen() {
	d.t.Helper()
	d.box.eventually("all to be seen well", func() error {
		body, err := d.metrics()
		if err != nil {
			return err
		}
		for _, line := range strings.Split(body, "\n") {
			if v, ok := strings.CutPrefix(line, `signalbox_poll_last_good_round_timestamp_seconds{source="actions"} `); ok && v != "0" {
				return nil
			}
		}
		return fmt.Errorf("no good round of GitHub yet")
	})
	d.box.eventually("the Application to be read", func() error {
		for _, e := range d.kube.Audit(servers.Daemon) {
			if e.Verb == "list" && e.ObjectRef.Resource == "applications" && e.ResponseStatus.Code == http.StatusOK {
				return nil
			}
		}
		return fmt.Errorf("no list yet")
	})
	d.steadily(3*time.Second, "all is well", d.allEnded)
}

// untouched asserts, by the API server's and GitHub's own records, that the
// daemon only looked.
func (d *drift) untouched() {
	d.t.Helper()
	for _, e := range d.kube.Audit(servers.Daemon) {
		switch e.Verb {
		case "get", "list", "watch":
		default:
			if e.ObjectRef.Resource != "selfsubjectaccessreviews" {
				d.t.Errorf("the daemon asked to %s %s %s", e.Verb, e.ObjectRef.Resource, e.ObjectRef.Name)
			}
		}
	}
	if err := d.hub.dispatched()(); err != nil {
		d.t.Error(err)
	}
}

// configure takes the run-book out of the handbook, with short times.
func (d *drift) configure(autonomy string) {
	d.t.Helper()
	config, err := os.ReadFile(d.kube.Kubeconfig(servers.Daemon))
	if err != nil {
		d.t.Fatal(err)
	}
	d.write("secrets/kubeconfig", string(config))
	d.deploySources(d.hub, d.desk)
	d.write("sources.yaml", "sources:\n  cluster: {kind: kubernetes, kubeconfig: secrets/kubeconfig, namespaces: [argocd]}\n")
	e := newHandbookExcerpt(d.t)
	e.take("detectors", "drift", func(x map[string]any) {
		x["interval"] = "1s"
		handbookBlock(x, "applications")["after"] = map[string]any{"Degraded": "1s", "Missing": "1s", "OutOfSync": "1s"}
		handbookBlock(x, "clear")["for"] = "2s"
	})
	e.take("detectors", "deploy-failed", func(x map[string]any) { x["interval"] = "1s" })
	for _, tool := range []string{"ops-alerts-argocd", "ops-alerts-actions"} {
		e.take("tools", tool, func(x map[string]any) {
			slack := handbookBlock(x, "slack")
			slack["api_url"], slack["channel_id"] = d.desk.url, deployChannel
		})
	}
	for _, name := range []string{"deploy-drift", "deploy-failed"} {
		e.take("policies", name, func(x map[string]any) { x["autonomy"] = autonomy })
	}
	e.write(d.box)
}
