package endpoint

import (
	"errors"
	"fmt"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// The backends of a switch.
const (
	backendConfigMap = "configmap"
	backendHTTP      = "http"
)

// sourceKubernetes is the kind of the source that a configmap switch names.
const sourceKubernetes = "kubernetes"

// Kind is the remediator that flips switches.
func Kind() kind.Remediator {
	return kind.Remediator{
		Name:    "endpoint",
		Keyword: "flip",
		Backends: map[string]func() kind.Settings{
			backendConfigMap: func() kind.Settings { return &ConfigMap{} },
			backendHTTP:      func() kind.Settings { return newHTTP() },
		},
		Spec: resolve,
		Open: func(env kind.Env) (signalbox.Remediator, error) {
			if env.Now == nil {
				return nil, errors.New("endpoint: a clock must be given")
			}
			return &remediator{now: env.Now, clients: newClients(env.Agent, env.Log)}, nil
		},
	}
}

// Kubernetes is the source of kind kubernetes. In this version it is a
// connection that switches name; it has no detectors.
func Kubernetes() kind.Source {
	return kind.Source{
		Name:     sourceKubernetes,
		Settings: func() kind.Settings { return &Cluster{} },
		Open: func(name string, s kind.Settings, _ kind.Env) (any, error) {
			c, ok := s.(*Cluster)
			if !ok {
				return nil, fmt.Errorf("source %q: settings must be of kind kubernetes, got %T", name, s)
			}
			return Connection{Name: name, Cluster: *c}, nil
		},
	}
}

// Connection is an opened source of kind kubernetes. It holds no connection
// itself: switches that name it connect when they are used.
type Connection struct {
	Name    string
	Cluster Cluster
}

// Cluster says how a Kubernetes API server is reached: exactly one of its keys
// is given.
type Cluster struct {
	// Kubeconfig is the path of a kubeconfig file; its current context counts.
	// The file is read again at each use, so that a rotated one counts at once.
	Kubeconfig string `yaml:"kubeconfig" json:"kubeconfig,omitempty"`
	// InCluster uses the service account of the pod that the daemon runs in.
	InCluster bool `yaml:"in_cluster" json:"in_cluster,omitempty"`
}

// Validate checks that there is exactly one way to reach the cluster.
func (c *Cluster) Validate(fail kind.Fail) {
	switch {
	case c.Kubeconfig == "" && !c.InCluster:
		fail("", "must have kubeconfig, or in_cluster: true", "neither")
	case c.Kubeconfig != "" && c.InCluster:
		fail("in_cluster", "must not be given together with kubeconfig", true)
	}
}
