package job

import (
	"cmp"
	"context"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signalbox/signalbox/internal/reach"
)

const readsLog = 64 << 10 // bytes that are read

// tail is the end of the log of a Job's newest pod, as evidence; what can't be
// read is said in its place.
func (w *work) tail(ctx context.Context, j *batchv1.Job) string {
	if w.KeepLogLines == 0 {
		return ""
	}
	pods := w.resource("", "pods")
	var list corev1.PodList
	call := reach.Call{Target: string(w.target), Verb: "list pods", Grant: w.grant("list", "pods"), Missing: "its pods are gone"}
	if err := w.api.List(ctx, pods, batchv1.JobNameLabel+"="+j.Name, call, &list); err != nil {
		return "\nits log can't be read: " + reach.Shown(err.Error())
	}
	var newest *corev1.Pod
	for i := range list.Items {
		p := &list.Items[i]
		if c := metav1.GetControllerOf(p); c != nil && c.UID == j.UID && (newest == nil || newest.CreationTimestamp.Before(&p.CreationTimestamp)) {
			newest = p
		}
	}
	if newest == nil {
		return "\nits log can't be read: it has no pod"
	}
	call = reach.Call{Target: string(w.target), Verb: "get log", Grant: w.grant("get", "pods/log"), Missing: "its pod is gone"}
	query := map[string]string{"limitBytes": strconv.Itoa(readsLog)}
	if len(newest.Spec.Containers) > 0 {
		query["container"] = newest.Spec.Containers[0].Name
	}
	for lines := w.KeepLogLines; ; lines /= 2 {
		query["tailLines"] = strconv.Itoa(lines)
		text, err := w.api.Text(ctx, pods, newest.Name, "log", query, call)
		if err != nil {
			return "\nits log can't be read: " + reach.Shown(err.Error())
		}
		if len(text) < readsLog || lines == 1 { // else the limit took the end of it
			return "\n" + cmp.Or(reach.Tail(text, lines), "its log is empty")
		}
	}
}
