package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// Crowd is a cluster's worth of pods in one namespace: what a scheduler,
// kubelets and Deployments would have left there. The pods of a workload are
// named after it.
type Crowd struct {
	Namespace string
	Workloads []string

	k     *KubeServer
	admin kubernetes.Interface
}

// crowdWriters bounds the requests under way while a crowd comes.
const crowdWriters = 24

// Crowd creates workloads of so many pods each, all running and ready.
func (k *KubeServer) Crowd(namespace string, workloads, each int) *Crowd {
	k.t.Helper()
	c := &Crowd{Namespace: namespace, k: k, admin: k.Client(Admin)}
	if _, err := c.admin.CoreV1().Namespaces().Create(k.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{}); err != nil {
		k.t.Fatal(err)
	}
	for i := range workloads {
		c.Workloads = append(c.Workloads, fmt.Sprintf("svc-%04d", i))
	}
	var next atomic.Int64
	var writing sync.WaitGroup
	var failed atomic.Pointer[error]
	for range crowdWriters {
		writing.Go(func() {
			for i := int(next.Add(1) - 1); i < workloads*each && failed.Load() == nil; i = int(next.Add(1) - 1) {
				if err := c.create(k.t.Context(), c.Workloads[i%workloads], i/workloads); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	writing.Wait()
	if err := failed.Load(); err != nil {
		k.t.Fatal(*err)
	}
	return c
}

func (c *Crowd) create(ctx context.Context, workload string, i int) error {
	p := crowdPod(c.Namespace, workload, i)
	if _, err := c.admin.CoreV1().Pods(c.Namespace).Create(ctx, p, metav1.CreateOptions{}); err != nil {
		return err
	}
	return c.Set(ctx, workload, i, "")
}

// Pod names a pod of a workload.
func (c *Crowd) Pod(workload string, i int) string { return fmt.Sprintf("%s-5d8f-%05d", workload, i) }

// RunPods does once what kubelets do: every pod of a namespace that has not begun
// runs and is ready.
func RunPods(ctx context.Context, admin kubernetes.Interface, namespace string) error {
	pods := admin.CoreV1().Pods(namespace)
	list, err := pods.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range list.Items {
		p := &list.Items[i]
		if p.Status.Phase == corev1.PodRunning || p.DeletionTimestamp != nil {
			continue
		}
		at := metav1.NewTime(time.Now().Add(-time.Minute))
		p.Status.Phase, p.Status.StartTime = corev1.PodRunning, &at
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: at}}
		if _, err := pods.UpdateStatus(ctx, p, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// Set writes a pod's status: its container waits for a reason, or with "" runs
// and is ready.
func (c *Crowd) Set(ctx context.Context, workload string, i int, waits string) error {
	at := metav1.NewTime(time.Now().Add(-time.Hour))
	s := corev1.PodStatus{
		Phase: corev1.PodRunning, StartTime: &at, HostIP: "10.0.0.1", PodIP: "10.1.0.1",
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: at},
			{Type: corev1.ContainersReady, Status: corev1.ConditionTrue, LastTransitionTime: at},
			{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: at},
		},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: "app", Ready: true, Image: "registry.example/app:1.2.3", ImageID: "registry.example/app@sha256:" + strings.Repeat("0", 64),
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at}},
		}},
	}
	if waits != "" {
		now := metav1.Now()
		s.Conditions[1].Status, s.Conditions[1].LastTransitionTime = corev1.ConditionFalse, now
		s.Conditions[2].Status, s.Conditions[2].LastTransitionTime = corev1.ConditionFalse, now
		s.ContainerStatuses[0].Ready = false
		s.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: waits}}
	}
	patch, err := json.Marshal(map[string]any{"status": s})
	if err != nil {
		return err
	}
	_, err = c.admin.CoreV1().Pods(c.Namespace).Patch(ctx, c.Pod(workload, i), types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// crowdPod is a pod of the usual size: some kilobytes.
func crowdPod(namespace, workload string, i int) *corev1.Pod {
	yes := true
	env := make([]corev1.EnvVar, 24)
	for j := range env {
		env[j] = corev1.EnvVar{Name: fmt.Sprintf("SETTING_%02d", j), Value: strings.Repeat("x", 40)}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: fmt.Sprintf("%s-5d8f-%05d", workload, i),
			Labels:          map[string]string{"app": workload, "tier": "api", "team": "core", "pod-template-hash": "5d8f", "version": "1.2.3"},
			Annotations:     map[string]string{"checksum/config": strings.Repeat("a", 64), "prometheus.io/scrape": "true"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: workload + "-5d8f", UID: types.UID(workload), Controller: &yes}},
		},
		Spec: corev1.PodSpec{
			NodeName: fmt.Sprintf("node-%03d", i%100),
			Containers: []corev1.Container{{
				Name: "app", Image: "registry.example/app:1.2.3", Env: env,
				ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/ready"}}}},
			}},
		},
	}
}
