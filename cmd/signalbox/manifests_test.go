package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/signalbox/signalbox/internal/app"
	"github.com/signalbox/signalbox/internal/store/etcd"
)

// manifest is what of a file of deploy/kubernetes has to agree with the daemon.
type manifest struct {
	set      *appsv1.StatefulSet
	services map[string]*corev1.Service
	budget   *policyv1.PodDisruptionBudget
	network  *networkingv1.NetworkPolicy
}

func read(t *testing.T, name string) *manifest {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "kubernetes", name))
	if err != nil {
		t.Fatal(err)
	}
	m := &manifest{services: map[string]*corev1.Service{}}
	for _, doc := range bytes.Split(text, []byte("\n---\n")) {
		var kind struct{ Kind string }
		if err := yaml.Unmarshal(doc, &kind); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var into any
		switch kind.Kind {
		case "StatefulSet":
			m.set = &appsv1.StatefulSet{}
			into = m.set
		case "Service":
			s := &corev1.Service{}
			into = s
			defer func() { m.services[s.Name] = s }()
		case "PodDisruptionBudget":
			m.budget = &policyv1.PodDisruptionBudget{}
			into = m.budget
		case "NetworkPolicy":
			m.network = &networkingv1.NetworkPolicy{}
			into = m.network
		default:
			continue
		}
		if err := yaml.UnmarshalStrict(doc, into); err != nil {
			t.Fatalf("%s: %s: %v", name, kind.Kind, err)
		}
	}
	return m
}

// options are those that the daemon of a pod reads from its arguments.
func (m *manifest) options(t *testing.T, pod string) app.Options {
	t.Helper()
	args := slices.Clone(m.set.Spec.Template.Spec.Containers[0].Args)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "$(POD_NAME)", pod)
	}
	o, _, err := parse(args)
	if err != nil {
		t.Fatalf("the arguments of %s: %v", pod, err)
	}
	return o
}

// The arguments in the manifests are flags of this binary, and what they name is
// there: each file in a volume, each port among the container's.
func TestManifestsAreFlags(t *testing.T) {
	for _, name := range []string{"signalbox.yaml", "replicas.yaml"} {
		t.Run(name, func(t *testing.T) {
			m := read(t, name)
			o := m.options(t, "signalbox-0")
			container := m.set.Spec.Template.Spec.Containers[0]
			for what, path := range map[string]string{
				"--config": o.Config, "--data": o.Data, "--cluster.ca-file": o.Cluster.CA, "--cluster.cert-file": o.Cluster.Cert, "--cluster.key-file": o.Cluster.Key,
			} {
				mounted := slices.ContainsFunc(container.VolumeMounts, func(v corev1.VolumeMount) bool {
					return path == v.MountPath || strings.HasPrefix(path, v.MountPath+"/")
				})
				if path != "" && !mounted {
					t.Errorf("%s=%s is in no volume", what, path)
				}
			}
			if _, port, _ := net.SplitHostPort(o.ListenWebhooks); !m.opens(port) {
				t.Errorf("the port of --webhooks.listen-address=%s is not the container's", o.ListenWebhooks)
			}
			if o.Replica != "signalbox-0" {
				t.Errorf("--replica is %q, want the pod's name", o.Replica)
			}
		})
	}
}

// opens reports whether a port is the container's and one of a Service.
func (m *manifest) opens(port string) bool {
	n, _ := strconv.Atoi(port)
	return slices.ContainsFunc(m.set.Spec.Template.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return int(p.ContainerPort) == n })
}

// among is the port at which the replicas ask for each other, of which the flags
// and the Service must say the same.
func (m *manifest) among(t *testing.T, members *corev1.Service) string {
	t.Helper()
	o := m.options(t, "signalbox-1")
	_, listens, err := net.SplitHostPort(o.Share.Listen)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("signalbox-1.%s.%s.svc:%d", members.Name, m.set.Namespace, members.Spec.Ports[1].Port)
	if o.Share.Advertise != want || !strings.HasSuffix(want, ":"+listens) {
		t.Errorf("--replicas.advertise-address is %s for port %s, want %s", o.Share.Advertise, listens, want)
	}
	return listens
}

// The three replicas are the members that their flags list, under the names that
// the headless Service gives them; one at a time may be missing, none is left
// waiting for another, and members alone reach members.
func TestManifestOfReplicas(t *testing.T) {
	m := read(t, "replicas.yaml")
	pods, members := int(*m.set.Spec.Replicas), m.services[m.set.Spec.ServiceName]
	if members == nil || members.Spec.ClusterIP != corev1.ClusterIPNone || !members.Spec.PublishNotReadyAddresses {
		t.Fatalf("the Service %q must be headless and name pods that are not ready", m.set.Spec.ServiceName)
	}
	peers, err := etcd.ParsePeers(m.options(t, "signalbox-0").Cluster.Members)
	if err != nil {
		t.Fatal(err)
	}
	if len(peers) != pods {
		t.Errorf("%d members for %d pods", len(peers), pods)
	}
	for i, p := range peers {
		pod := fmt.Sprintf("%s-%d", m.set.Name, i)
		want := fmt.Sprintf("%s.%s.%s.svc:%d", pod, members.Name, m.set.Namespace, members.Spec.Ports[0].Port)
		if p.Name != pod || p.Address != want || m.options(t, pod).Replica != p.Name {
			t.Errorf("member %d is %s at %s, want %s at %s", i, p.Name, p.Address, pod, want)
		}
	}
	for i, between := range []string{strconv.Itoa(int(members.Spec.Ports[0].Port)), m.among(t, members)} {
		own := m.network.Spec.Ingress[0]
		if !m.opens(between) || len(own.From) != 1 || own.Ports[i].Port.String() != between {
			t.Errorf("port %s must be the container's, and open to the replicas alone", between)
		}
		for _, in := range m.network.Spec.Ingress[1:] {
			for _, p := range in.Ports {
				if p.Port.String() == between {
					t.Errorf("port %s between the replicas is open to others", between)
				}
			}
		}
	}
	if m.set.Spec.PodManagementPolicy != appsv1.ParallelPodManagement {
		t.Error("a first start takes all members: podManagementPolicy must be Parallel")
	}
	if quorum := pods/2 + 1; pods-m.budget.Spec.MaxUnavailable.IntValue() < quorum {
		t.Errorf("the budget lets %s of %d go, and %d are needed", m.budget.Spec.MaxUnavailable, pods, quorum)
	}
	of := labels.Set(m.set.Spec.Template.Labels)
	apart := m.set.Spec.Template.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0]
	for what, l := range map[string]map[string]string{
		"the budget": m.budget.Spec.Selector.MatchLabels, "the anti-affinity": apart.LabelSelector.MatchLabels, "the members' Service": members.Spec.Selector,
		"the policy": m.network.Spec.PodSelector.MatchLabels, "the peers": m.network.Spec.Ingress[0].From[0].PodSelector.MatchLabels,
	} {
		if len(l) == 0 || !labels.SelectorFromSet(l).Matches(of) {
			t.Errorf("%s selects %v, which the pods with %v are not", what, l, of)
		}
	}
}
