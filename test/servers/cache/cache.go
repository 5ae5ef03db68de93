// Package cache says where the real servers that tests run against are kept:
// outside the tree, under names that hold their versions, so that a newer
// version is fetched beside an older one. The install command fills it, package
// servers reads it.
package cache

import (
	"fmt"
	"os"
	"path/filepath"
)

// Command is what fills the cache, run at the project's root.
const Command = "go run ./test/servers/install"

// Binary is one server's program.
type Binary struct {
	Name    string
	Version string // as `--version` shows it, at the start of its version number
}

// Prometheus is the version that Debian 12 packages.
func Prometheus() Binary { return Binary{Name: "prometheus", Version: "2.42"} }

// Alertmanager is the version that Debian 12 packages.
func Alertmanager() Binary { return Binary{Name: "prometheus-alertmanager", Version: "0.25"} }

// AlertmanagerTemplates are where Debian's Alertmanager has its built-in
// templates compiled in, without which it does not start.
func AlertmanagerTemplates() []string {
	const dir = "/usr/share/prometheus/alertmanager/"
	return []string{dir + "default.tmpl", dir + "email.tmpl"}
}

// KubeAPIServer is built from the module in test/servers/kube, whose version
// it has.
func KubeAPIServer() Binary { return Binary{Name: "kube-apiserver", Version: "1.37.2"} }

// KubeControllerManager is built from the same module.
func KubeControllerManager() Binary {
	return Binary{Name: "kube-controller-manager", Version: KubeAPIServer().Version}
}

// Loki is built from the module in test/servers/loki, whose version it has.
func Loki() Binary { return Binary{Name: "loki", Version: "3.7.8"} }

// Dir is the cache: $XDG_CACHE_HOME/signalbox-test, by default under ~/.cache.
func Dir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("the cache of test servers: %w: set HOME or XDG_CACHE_HOME", err)
	}
	return filepath.Join(base, "signalbox-test"), nil
}

// Path is where the program is, or would be, kept.
func (b Binary) Path() (string, error) {
	dir, err := Dir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, b.Name+"-"+b.Version), nil
}
