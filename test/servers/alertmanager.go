package servers

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/test/servers/cache"
)

// AlertmanagerOptions say what an Alertmanager does.
type AlertmanagerOptions struct {
	// Config is its configuration, as YAML.
	Config string
	// Cluster lets it be a peer; Peers are those that it joins. Peers gossip
	// fast, and wait a second for each other before they notify.
	Cluster bool
	Peers   []*AlertmanagerServer
}

// AlertmanagerServer is a running Alertmanager.
type AlertmanagerServer struct {
	*Server
	ClusterAddress string // "host:port" for peers; empty: it is none
	file           string // of its configuration
}

// Alertmanager starts an Alertmanager.
func Alertmanager(t testing.TB, o AlertmanagerOptions) *AlertmanagerServer {
	t.Helper()
	path := program(t, cache.Alertmanager(), cache.AlertmanagerTemplates()...)
	dir := t.TempDir()
	file := filepath.Join(dir, "alertmanager.yml")
	writeFile(t, file, []byte(o.Config))
	am := &AlertmanagerServer{file: file}
	am.Server = start(t, launch{
		name: "alertmanager", client: http.DefaultClient, probe: "/-/ready", url: loopback("http"),
		argv: func(port int) []string {
			argv := []string{
				path, "--config.file=" + file, "--storage.path=" + filepath.Join(dir, "data"),
				fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port),
			}
			return append(argv, am.clusterArgs(t, o)...)
		},
	})
	return am
}

// Reconfigure has it read another configuration.
func (am *AlertmanagerServer) Reconfigure(t testing.TB, config string) {
	t.Helper()
	writeFile(t, am.file, []byte(config))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, am.URL+"/-/reload", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("Alertmanager did not take its new configuration: %s", resp.Status)
	}
}

func (am *AlertmanagerServer) clusterArgs(t testing.TB, o AlertmanagerOptions) []string {
	t.Helper()
	if !o.Cluster && len(o.Peers) == 0 {
		return []string{"--cluster.listen-address="}
	}
	am.ClusterAddress = fmt.Sprintf("127.0.0.1:%d", freePort(t))
	argv := []string{
		"--cluster.listen-address=" + am.ClusterAddress, "--cluster.advertise-address=" + am.ClusterAddress,
		"--cluster.gossip-interval=50ms", "--cluster.pushpull-interval=1s", "--cluster.settle-timeout=5s", "--cluster.peer-timeout=1s",
	}
	for _, peer := range o.Peers {
		argv = append(argv, "--cluster.peer="+peer.ClusterAddress)
	}
	return argv
}

// Host is the "host:port" of a server's URL, as Prometheus wants its targets.
func (s *Server) Host() string {
	_, host, _ := strings.Cut(s.URL, "://")
	return host
}
