package credentials

import (
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signalbox/signalbox/internal/reach"
)

// mostNamed bounds the consumers and pods that a refusal names.
const mostNamed = 5

// onNew refuses unless each consumer was rolled out after the rotation and has
// no pod from before it. old is a Secret that it must not name any more; "":
// its Secret kept its name. since is of the API server's clock, in whole
// seconds: a pod of the same second counts as one from before.
func (a *api) onNew(ctx context.Context, names []string, since time.Time, old string) error {
	var behind []string
	for _, name := range names {
		why, err := a.behind(ctx, name, since, old)
		if err != nil {
			return err
		}
		if why != "" {
			behind = append(behind, fmt.Sprintf("deployment %s (%s)", name, why))
		}
	}
	if len(behind) == 0 {
		return nil
	}
	return reach.Refused("still on the old one: %s: roll them out, then it may be revoked", strings.Join(shorten(behind), ", "))
}

// behind says why a consumer is not seen on the new one; "": it is.
func (a *api) behind(ctx context.Context, name string, since time.Time, old string) (string, error) {
	var d appsv1.Deployment
	there, err := a.get(ctx, deployments, name, "", &d)
	if err != nil {
		return "", err
	}
	if !there {
		return "", reach.Refused("%s is not there: correct consumers", a.target(deployments, name))
	}
	if old != "" && uses(&d.Spec.Template.Spec, old) {
		return "its pod template names secret " + old, nil
	}
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	s := d.Status
	if s.ObservedGeneration < d.Generation || s.Replicas != want || s.UpdatedReplicas != want || s.AvailableReplicas != want {
		return fmt.Sprintf("its rollout is not finished: %d of %d updated, %d available, %d in all", s.UpdatedReplicas, want, s.AvailableReplicas, s.Replicas), nil
	}
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil || selector.Empty() {
		return "", reach.Refused("%s: its selector can't be read", a.target(deployments, name))
	}
	var list metav1.PartialObjectMetadataList
	request := a.rest.Get().AbsPath(a.path(pods, "")...).SetHeader("Accept", metadataList).
		Param("labelSelector", selector.String()).Param("fieldSelector", "status.phase!=Succeeded,status.phase!=Failed")
	if err := a.do(ctx, request, a.call(pods, "", "list"), &list); err != nil {
		return "", err
	}
	return fromBefore(list.Items, int(want), since), nil
}

// fromBefore names the pods that were made before a moment, or are ending.
func fromBefore(list []metav1.PartialObjectMetadata, want int, since time.Time) string {
	var before []string
	for i := range list {
		p := &list[i]
		switch {
		case !p.CreationTimestamp.After(since):
			before = append(before, fmt.Sprintf("pod %s of %s", p.Name, p.CreationTimestamp.UTC().Format(time.RFC3339)))
		case p.DeletionTimestamp != nil:
			before = append(before, fmt.Sprintf("pod %s is ending", p.Name))
		}
	}
	if len(before) == 0 && len(list) < want {
		return fmt.Sprintf("%d of its %d pods are seen", len(list), want)
	}
	return strings.Join(shorten(before), ", ")
}

func shorten(words []string) []string {
	if len(words) <= mostNamed {
		return words
	}
	return append(words[:mostNamed:mostNamed], fmt.Sprintf("and %d more", len(words)-mostNamed))
}

// uses reports whether a pod template names a Secret.
func uses(s *corev1.PodSpec, name string) bool {
	for i := range s.Volumes {
		v := &s.Volumes[i]
		if v.Secret != nil && v.Secret.SecretName == name {
			return true
		}
		if v.Projected == nil {
			continue
		}
		for _, p := range v.Projected.Sources {
			if p.Secret != nil && p.Secret.Name == name {
				return true
			}
		}
	}
	for _, ref := range s.ImagePullSecrets {
		if ref.Name == name {
			return true
		}
	}
	return usedBy(s.InitContainers, name) || usedBy(s.Containers, name)
}

func usedBy(containers []corev1.Container, name string) bool {
	for i := range containers {
		for _, e := range containers[i].Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && e.ValueFrom.SecretKeyRef.Name == name {
				return true
			}
		}
		for _, e := range containers[i].EnvFrom {
			if e.SecretRef != nil && e.SecretRef.Name == name {
				return true
			}
		}
	}
	return false
}
