package job

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	signalbox "github.com/signalbox/signalbox"
)

const manifest = `apiVersion: batch/v1
kind: Job
metadata: {name: replay, namespace: core}
spec:
  backoffLimit: 6
  template:
    spec:
      serviceAccountName: replay
      restartPolicy: OnFailure
      containers:
        - {name: replay, image: "registry.example/replay:1", command: [/replay], args: [--dry-run]}
`

// template writes a file, and is the change of settings that names it.
func (w *world) template(text string) func(*Job) {
	w.t.Helper()
	w.must(os.WriteFile(filepath.Join(w.dir, "replay.yaml"), []byte(text), 0o600))
	return func(j *Job) { j.CronJob, j.Template = "", "replay.yaml" }
}

// A template is read with the configuration, and what must not be run is
// refused there, with its file and what to change.
func TestTemplateIsRefused(t *testing.T) {
	t.Parallel()
	w := &world{t: t, dir: t.TempDir()}
	replace := func(old, by string) string {
		if !strings.Contains(manifest, old) {
			t.Fatalf("no %q in the manifest", old)
		}
		return strings.Replace(manifest, old, by, 1)
	}
	pod := func(line string) string {
		return replace("restartPolicy: OnFailure", "restartPolicy: OnFailure\n      "+line)
	}
	for want, text := range map[string]string{
		"": manifest,
		"is for namespace psp, and the tool for core": replace("namespace: core", "namespace: psp"),
		"replay.yaml is not a Job (batch/v1)":         replace("kind: Job", "kind: CronJob"),
		`unknown field "hostNetworks"`:                pod("hostNetworks: true"),
		"is longer than 262144 bytes":                 manifest + strings.Repeat("#", mostTemplate),
		"runs as service account admin, and service_account is replay: name the one that is meant in both": replace("serviceAccountName: replay", "serviceAccountName: admin"),
		"runs as service account default, and service_account is replay":                                   replace("serviceAccountName: replay", "enableServiceLinks: false"),
		"names two service accounts":                        pod("serviceAccount: admin"),
		"uses the host's network":                           pod("hostPID: true"),
		"names a node, past the scheduler":                  pod("nodeName: control-1"),
		"mounts a path of the host (volume root)":           pod("volumes: [{name: root, hostPath: {path: /}}]"),
		"has no container":                                  replace("        - {name: replay, image: \"registry.example/replay:1\", command: [/replay], args: [--dry-run]}\n", ""),
		"container replay of the template is privileged":    replace("args: [--dry-run]", "securityContext: {privileged: true}"),
		"allows privilege escalation":                       replace("args: [--dry-run]", "securityContext: {allowPrivilegeEscalation: true}"),
		"container first of the template adds capabilities": pod("initContainers: [{name: first, image: x, securityContext: {capabilities: {add: [NET_ADMIN]}}}]"),
	} {
		_, err := w.resolved(w.template(text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `tool "replay": job.template: `)) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := w.resolved(func(j *Job) { j.CronJob, j.Template = "", "nowhere.yaml" }); err == nil || !strings.Contains(err.Error(), filepath.Join(w.dir, "nowhere.yaml")) {
		t.Errorf("got %v", err)
	}
}

// TestRealTemplate: the Job of a file is run, with the arguments, the account and
// the bounds of the tool, as often as it is asked for once.
func TestRealTemplate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	change := w.template(manifest)
	s := w.stepOf(change, "evt_aaaa")
	w.must(os.Remove(filepath.Join(w.dir, "replay.yaml"))) // a step outlives it
	a := w.claim(s, "a1")
	for range 2 {
		if _, err := w.r.Start(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	j := w.jobs()[0]
	pod := j.Spec.Template.Spec
	if got := strings.Join(append(pod.Containers[0].Command, pod.Containers[0].Args...), " "); got != "/replay --only-queued -- evt_aaaa" {
		t.Errorf("runs %s", got)
	}
	if pod.ServiceAccountName != "replay" || pod.RestartPolicy != corev1.RestartPolicyNever || *j.Spec.BackoffLimit != 0 || *j.Spec.ActiveDeadlineSeconds != 900 || a.Forecast.Targets[0] != "job core/replay" {
		t.Errorf("runs %+v on %s", j.Spec, a.Forecast.Targets)
	}
	if p := w.end(a, corev1.PodSucceeded, signalbox.Succeeded); !strings.Contains(p.Receipt.Detail, "with 1 ids is complete") {
		t.Errorf("got %+v", p)
	}
	// Without ids the template is run as it is, as often as it says.
	s = w.stepOf(func(j *Job) {
		w.template(manifest)(j)
		j.Args, j.ItemPattern = nil, ""
	})
	s.Most = 0
	b := w.claim(s, "b1")
	if _, err := w.r.Start(t.Context(), b); err != nil || b.Forecast.NeedsApproval != "" {
		t.Fatalf("%v, %q", err, b.Forecast.NeedsApproval)
	}
	for _, j := range w.jobs() {
		if j.Name == nameOf("b1") && (strings.Join(j.Spec.Template.Spec.Containers[0].Args, " ") != "--dry-run" || *j.Spec.BackoffLimit != 6) {
			t.Errorf("runs %+v", j.Spec)
		}
	}
	w.awaitMade(2)
}
