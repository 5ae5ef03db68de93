package setting

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/workload"
)

const (
	defaultTimeout = kind.Duration(10 * time.Minute)
	leastTimeout   = time.Minute
	mostTimeout    = 2 * time.Hour
	// lastLook is how much longer than its timeout a step may take.
	lastLook = time.Minute
)

// Env is a switch that is an environment variable of one container of a workload.
type Env struct {
	// Source is the name of the source of kind kubernetes: the cluster.
	Source string `yaml:"source" json:"source" jsonschema:"required,minLength=1"`
	// Namespace is where the workload is.
	Namespace string `yaml:"namespace" json:"namespace" jsonschema:"required,maxLength=63"`
	// Deployment is the name of the Deployment; exactly one kind of workload is given.
	Deployment string `yaml:"deployment" json:"deployment,omitempty"`
	// StatefulSet is the name of the StatefulSet.
	StatefulSet string `yaml:"statefulset" json:"statefulset,omitempty"`
	// DaemonSet is the name of the DaemonSet.
	DaemonSet string `yaml:"daemonset" json:"daemonset,omitempty"`
	// Container is the container that has the variable.
	Container string `yaml:"container" json:"container" jsonschema:"required,maxLength=63"`
	// Name is the name of the variable, which must exist and have a plain value.
	Name string `yaml:"name" json:"name" jsonschema:"required"`
	// Timeout is how long the pods may take to be replaced.
	Timeout kind.Duration `yaml:"timeout" json:"timeout,omitzero" jsonschema:"default=10m"`
	// AllowOutage lets the switch be thrown also where all pods may be gone at once while they are replaced.
	AllowOutage bool `yaml:"allow_outage" json:"allow_outage,omitempty"`
	// GitOpsIgnores says that the GitOps tool that keeps the workload is set to leave the variable alone.
	GitOpsIgnores bool `yaml:"gitops_ignores" json:"gitops_ignores,omitempty"`
}

// workload is the kind that is given, and its name.
func (e *Env) workload() (kindName, name string, given int) {
	for k, n := range map[string]string{workload.Deployment: e.Deployment, workload.StatefulSet: e.StatefulSet, workload.DaemonSet: e.DaemonSet} {
		if n != "" {
			kindName, name = k, n
			given++
		}
	}
	return kindName, name, given
}

// Validate checks the names against Kubernetes' own rules.
func (e *Env) Validate(fail kind.Fail) {
	if e.Source == "" {
		fail("source", "must name a source of kind kubernetes", e.Source)
	}
	if len(validation.IsDNS1123Label(e.Namespace)) > 0 {
		fail("namespace", "must be the name of a namespace (lower-case letters, digits and '-', at most 63)", e.Namespace)
	}
	if kindName, name, given := e.workload(); given != 1 {
		fail("", "must have exactly one of deployment, statefulset and daemonset", given)
	} else if len(validation.IsDNS1123Subdomain(name)) > 0 {
		fail(kindName, "must be the name of a workload (lower-case letters, digits, '-' and '.', at most 253)", name)
	}
	if len(validation.IsDNS1123Label(e.Container)) > 0 {
		fail("container", "must be the name of a container (lower-case letters, digits and '-', at most 63)", e.Container)
	}
	if len(validation.IsEnvVarName(e.Name)) > 0 {
		fail("name", "must be the name of an environment variable (letters, digits, '_', '-' and '.', and no digit first)", e.Name)
	}
	if e.Timeout.Std() < leastTimeout || e.Timeout.Std() > mostTimeout {
		fail("timeout", fmt.Sprintf("must be between %s and %s", leastTimeout, mostTimeout), e.Timeout.String())
	}
}

type envSpec struct {
	Kubeconfig    string        `json:"kubeconfig,omitempty"` // absolute
	InCluster     bool          `json:"in_cluster,omitempty"`
	Namespace     string        `json:"namespace"`
	Kind          string        `json:"kind"`
	Workload      string        `json:"workload"`
	Container     string        `json:"container"`
	Name          string        `json:"name"`
	Timeout       kind.Duration `json:"timeout"`
	AllowOutage   bool          `json:"allow_outage,omitempty"`
	GitOpsIgnores bool          `json:"gitops_ignores,omitempty"`
}

func resolveEnv(in kind.SpecInput, e *Env) (*envSpec, error) {
	access, err := cluster.Named(in, e.Source)
	if err != nil {
		return nil, fmt.Errorf("env.%w", err)
	}
	s := &envSpec{
		Kubeconfig: access.Kubeconfig, InCluster: access.InCluster, Namespace: e.Namespace, Container: e.Container, Name: e.Name,
		Timeout: e.Timeout, AllowOutage: e.AllowOutage, GitOpsIgnores: e.GitOpsIgnores,
	}
	s.Kind, s.Workload, _ = e.workload()
	return s, nil
}
