package job

import (
	"context"
	"regexp"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signalbox/signalbox/internal/reach"
)

const (
	mostLog  = 4 << 10  // bytes that are kept
	readsLog = 64 << 10 // bytes that are read
)

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
	query := map[string]string{"tailLines": strconv.Itoa(w.KeepLogLines), "limitBytes": strconv.Itoa(readsLog)}
	if len(newest.Spec.Containers) > 0 {
		query["container"] = newest.Spec.Containers[0].Name
	}
	text, err := w.api.Text(ctx, pods, newest.Name, "log", query, call)
	if err != nil {
		return "\nits log can't be read: " + reach.Shown(err.Error())
	}
	return clean(text, w.KeepLogLines)
}

// clean is the end of a log as a person may see it: printable, masked, bounded.
func clean(text string, lines int) string {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return "\nits log is empty"
	}
	all := strings.Split(text, "\n")
	all = all[max(0, len(all)-lines):]
	var kept []string
	size := 0
	for i := len(all) - 1; i >= 0; i-- { // the last lines tell most
		line := reach.Shown(mask(all[i]))
		if size += len(line) + 1; size > mostLog {
			break
		}
		kept = append(kept, line)
	}
	var b strings.Builder
	for i := len(kept) - 1; i >= 0; i-- {
		b.WriteString("\n" + kept[i])
	}
	return b.String()
}

var secrets = []*regexp.Regexp{
	regexp.MustCompile(`(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}`),
	regexp.MustCompile(`(?i)([A-Za-z0-9_.-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|authorization|signature)[A-Za-z0-9_.-]*["']?\s*[:=]\s*)(?:"[^"]*"|'[^']*'|[^\s,;&"']+(?:\s+[A-Za-z0-9._~+/=-]{12,})?)`),
	regexp.MustCompile(`(://[^\s/:@]*:)[^\s/@]+@`),
	regexp.MustCompile(`()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`), // a JWT
	regexp.MustCompile(`()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b`),
	regexp.MustCompile(`()\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{8,}`),
	regexp.MustCompile(`()\bgh[pousr]_[A-Za-z0-9]{20,}`),
	regexp.MustCompile(`()\bxox[abprs]-[A-Za-z0-9-]{8,}`),
}

// mask takes from a line what looks like a secret.
func mask(line string) string {
	for i, s := range secrets {
		to := "${1}…"
		if i == 2 {
			to = "${1}…@"
		}
		line = s.ReplaceAllString(line, to)
	}
	return line
}
