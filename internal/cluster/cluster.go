// Package cluster is how a Kubernetes API server is reached: the keys of a
// source of kind kubernetes, which detectors and switches name alike, and the
// client settings that come of them.
//
//	Settings -> Resolve -> Access -> Config -> *rest.Config
//
// An Access is small, holds no secret and can be written down; Config reads the
// credentials anew each time, so that what was rotated counts at once.
package cluster

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/signalbox/signalbox/internal/kind"
)

// Kind is the name of the kind of source, as in `kind:`.
const Kind = "kubernetes"

// Settings are the keys of a source of kind kubernetes. Exactly one of
// Kubeconfig and InCluster is given. A switch uses the connection alone;
// Namespaces bounds what detectors watch.
type Settings struct {
	// Kubeconfig is the path of a kubeconfig file; its current context counts.
	// The file is read again when it changes, so that a rotated one counts.
	Kubeconfig string `yaml:"kubeconfig" json:"kubeconfig,omitempty"`
	// InCluster uses the service account of the pod that the daemon runs in.
	InCluster bool `yaml:"in_cluster" json:"in_cluster,omitempty"`
	// Namespaces are those that detectors watch, each by a watch of its own, so that a Role in each is enough; absent: all, which needs a ClusterRole.
	Namespaces []string `yaml:"namespaces" json:"namespaces,omitempty"`
	// StaleAfter is how long a watch may be without a sign of life before all that it says is Unknown.
	StaleAfter kind.Duration `yaml:"stale_after" json:"stale_after,omitzero" jsonschema:"default=45s"`
}

// Validate reports every rule that the settings break.
func (s *Settings) Validate(fail kind.Fail) {
	switch {
	case s.Kubeconfig == "" && !s.InCluster:
		fail("", "must have kubeconfig, or in_cluster: true", "neither")
	case s.Kubeconfig != "" && s.InCluster:
		fail("in_cluster", "must not be given together with kubeconfig", true)
	}
	CheckNamespaces(fail, s.Namespaces)
	if s.StaleAfter != 0 && (s.StaleAfter.Std() < leastStale || s.StaleAfter.Std() > mostStale) {
		fail("stale_after", fmt.Sprintf("must be between %s and %s", leastStale, mostStale), s.StaleAfter)
	}
}

// CheckNamespaces reports names that no namespace can have, and doubled ones.
func CheckNamespaces(fail kind.Fail, names []string) {
	for i, n := range names {
		path := fmt.Sprintf("namespaces[%d]", i)
		if len(validation.IsDNS1123Label(n)) > 0 {
			fail(path, "must be the name of a namespace (lower-case letters, digits and '-', at most 63)", n)
		} else if slices.Contains(names[:i], n) {
			fail(path, "must not be listed twice", n)
		}
	}
}

// Access says which API server is meant and as whom. It holds no secret.
type Access struct {
	Kubeconfig string // absolute
	InCluster  bool
}

// Resolve makes an Access of settings; a relative path begins at dir.
func (s *Settings) Resolve(dir string) (Access, error) {
	if s.Kubeconfig == "" {
		return Access{InCluster: s.InCluster}, nil
	}
	file := s.Kubeconfig
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return Access{}, fmt.Errorf("kubeconfig: %w", err)
	}
	return Access{Kubeconfig: abs}, nil
}

// Fingerprint changes when the kubeconfig's content does. In a cluster it never
// changes: client-go reads a rotated token itself.
func (a Access) Fingerprint() (string, error) {
	if a.InCluster {
		return "in_cluster", nil
	}
	content, err := os.ReadFile(a.Kubeconfig)
	if err != nil {
		return "", fmt.Errorf("kubeconfig: %w", err)
	}
	return fmt.Sprintf("kubeconfig %s %x", a.Kubeconfig, sha256.Sum256(content)), nil
}

// Config reads the client settings. Its own rate limit, 5 requests a second by
// default, is off: what the daemon sends is bounded where it is sent, and the
// API server has its priority and fairness. Its errors hold no secret.
func (a Access) Config(agent string) (*rest.Config, error) {
	load := rest.InClusterConfig
	if !a.InCluster {
		load = func() (*rest.Config, error) { return loadKubeconfig(a.Kubeconfig) }
	}
	config, err := load()
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = -1, 0
	config.UserAgent = agent
	config.WarningHandler = rest.NoWarnings{}
	return config, nil
}

// loadKubeconfig reads the current context of one file. It does not fall back
// to the pod's own account where the file says nothing, as clientcmd's
// deferred loading does. A decoder's error may quote the file, and is left out.
func loadKubeconfig(path string) (*rest.Config, error) {
	file, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s is not a kubeconfig", path)
	}
	if file.CurrentContext == "" {
		return nil, fmt.Errorf("kubeconfig %s must have a current-context", path)
	}
	if err := clientcmd.ResolveLocalPaths(file); err != nil {
		return nil, fmt.Errorf("kubeconfig %s: paths in it can't be resolved", path)
	}
	config, err := clientcmd.NewDefaultClientConfig(*file, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: context %q is incomplete", path, file.CurrentContext)
	}
	return config, nil
}

// HTTPClient is the client of a config. It follows no redirect: credentials
// go to the server that is configured and nowhere else.
func HTTPClient(config *rest.Config) (*http.Client, error) {
	h, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, errors.New("the credentials or certificates of the cluster's connection can't be loaded")
	}
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return h, nil
}

// Named resolves the source that a switch's or tool's key `source` names.
func Named(in kind.SpecInput, source string) (Access, error) {
	if in.Source == nil {
		return Access{}, errors.New("source: no sources are configured")
	}
	name, settings, ok := in.Source(source)
	s, isCluster := settings.(*Settings)
	if !ok || name != Kind || !isCluster {
		return Access{}, fmt.Errorf("source must name a source of kind kubernetes, got %q", source)
	}
	access, err := s.Resolve(in.ConfigDir)
	if err != nil {
		return Access{}, fmt.Errorf("source %q: %w", source, err)
	}
	return access, nil
}
