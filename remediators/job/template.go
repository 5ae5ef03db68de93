package job

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	signalbox "github.com/signalbox/signalbox"
)

// unfit says why a template must not be run; empty: it may.
func unfit(s spec, t *batchv1.JobSpec) string {
	pod := &t.Template.Spec
	account := pod.ServiceAccountName
	if account == "" {
		account = "default"
	}
	switch {
	case account != s.ServiceAccount:
		return fmt.Sprintf("the template runs as service account %s, and service_account is %s: name the one that is meant in both", account, s.ServiceAccount)
	case pod.DeprecatedServiceAccount != "" && pod.DeprecatedServiceAccount != account:
		return "the template names two service accounts"
	case pod.HostNetwork || pod.HostPID || pod.HostIPC:
		return "the template uses the host's network or processes (hostNetwork, hostPID, hostIPC)"
	case len(pod.Containers) == 0:
		return "the template has no container"
	case pod.NodeName != "":
		return "the template names a node, past the scheduler (nodeName)"
	}
	for i := range pod.Volumes {
		if pod.Volumes[i].HostPath != nil {
			return fmt.Sprintf("the template mounts a path of the host (volume %s)", pod.Volumes[i].Name)
		}
	}
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		if why := risky(c.Name, c.SecurityContext); why != "" {
			return why
		}
	}
	return ""
}

func risky(name string, c *corev1.SecurityContext) string {
	switch {
	case c == nil:
		return ""
	case c.Privileged != nil && *c.Privileged:
		return fmt.Sprintf("container %s of the template is privileged", name)
	case c.AllowPrivilegeEscalation != nil && *c.AllowPrivilegeEscalation:
		return fmt.Sprintf("container %s of the template allows privilege escalation", name)
	case c.Capabilities != nil && len(c.Capabilities.Add) > 0:
		return fmt.Sprintf("container %s of the template adds capabilities", name)
	}
	return ""
}

// The annotations and labels of a Job of ours.
const (
	actionAnnotation = "signalbox.io/action"
	toolLabel        = "signalbox.io/tool"
	managedLabel     = "app.kubernetes.io/managed-by"
)

// nameOf is the name of an action's Job: it follows from the action's id alone.
func nameOf(id signalbox.ActionID) string {
	sum := sha256.Sum256([]byte(id))
	return "signalbox-" + hex.EncodeToString(sum[:10])
}

// build is the Job of an action.
func build(sp spec, t *batchv1.JobSpec, args []string, a signalbox.Action) *batchv1.Job {
	j := &batchv1.Job{
		TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: metav1.ObjectMeta{
			Name: nameOf(a.ID), Namespace: sp.Namespace,
			Labels:      map[string]string{managedLabel: "signalbox"},
			Annotations: map[string]string{actionAnnotation: string(a.ID), toolLabel: a.Step.Name},
		},
		Spec: *t.DeepCopy(),
	}
	j.Spec.Selector, j.Spec.ManualSelector, j.Spec.Suspend = nil, nil, nil
	j.Spec.Template.Labels = maps.Clone(j.Spec.Template.Labels)
	for _, l := range []string{"controller-uid", "job-name", batchv1.ControllerUidLabel, batchv1.JobNameLabel} {
		delete(j.Spec.Template.Labels, l)
	}
	deadline, ttl := int64(sp.Timeout.Std().Seconds()), int32(sp.TTL.Std().Seconds())
	j.Spec.ActiveDeadlineSeconds, j.Spec.TTLSecondsAfterFinished = &deadline, &ttl
	if len(sp.Args) > 0 {
		j.Spec.Template.Spec.Containers[0].Args = args
	}
	if sp.ItemPattern != "" { // a pod that is tried again would send an id twice
		once, never := int32(1), int32(0)
		j.Spec.Parallelism, j.Spec.Completions, j.Spec.BackoffLimit = &once, &once, &never
		j.Spec.CompletionMode, j.Spec.BackoffLimitPerIndex, j.Spec.MaxFailedIndexes, j.Spec.PodFailurePolicy, j.Spec.SuccessPolicy = nil, nil, nil, nil, nil
		j.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	}
	return j
}

// digest identifies what would be run by its content.
func digest(t *batchv1.JobSpec, args []string) string {
	b, err := json.Marshal(struct {
		T *batchv1.JobSpec
		A []string
	}{t, args})
	if err != nil { // it came from JSON
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
