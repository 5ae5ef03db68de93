package servers

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/signalbox/signalbox/test/servers/cache"
)

// The accounts of a KubeServer. Daemon has no rights but those that a test
// gives it.
const (
	Admin  = "admin"
	Daemon = "signalbox"
)

// KubeServer is a real kube-apiserver with RBAC, on an etcd in the test's
// process. It has no kubelets, and the controllers that KubeControllers starts.
type KubeServer struct {
	*Server

	t        testing.TB
	etcd     *embed.Etcd
	fresh    map[string][]byte // what it stored before any test; nil: it ends with its test
	dir      string
	ca       []byte            // PEM
	tokens   map[string]string // by account
	auditLog string
	audited  audited
}

// audited is what has been read of the audit log, which grows with each request
// and is looked at again and again.
type audited struct {
	mu      sync.Mutex
	read    int64
	entries []AuditEntry
}

// KubeAPI starts an API server, or takes one that Main has kept. flags are added
// to its own: a later flag of a name counts.
func KubeAPI(t testing.TB, flags ...string) *KubeServer {
	t.Helper()
	program(t, cache.KubeAPIServer())
	if apiServers.slots != nil && len(flags) == 0 {
		return kept(t)
	}
	k := &KubeServer{}
	k.open(t, t.TempDir(), flags, "")
	return k
}

// open starts the server, with its files in dir; lasts is as in launch.
func (k *KubeServer) open(t testing.TB, dir string, flags []string, lasts string) {
	t.Helper()
	path := program(t, cache.KubeAPIServer())
	k.t, k.dir, k.tokens, k.auditLog = t, dir, map[string]string{Admin: rand.Text(), Daemon: rand.Text()}, filepath.Join(dir, "audit.log")
	k.ca = writeServingCert(t, dir)
	writeFile(t, filepath.Join(dir, "tokens.csv"), fmt.Appendf(nil, "%s,%s,1,\"system:masters\"\n%s,%s,2\n", k.tokens[Admin], Admin, k.tokens[Daemon], Daemon))
	writeFile(t, filepath.Join(dir, "audit.yaml"), []byte(auditPolicy))
	k.etcd = startEtcd(t, dir)
	if lasts == "" {
		t.Cleanup(k.etcd.Close)
	}
	k.Server = start(t, launch{
		name: "kube-apiserver", client: k.https(), probe: "/readyz", url: loopback("https"), lasts: lasts,
		argv: func(port int) []string { return slices.Concat([]string{path}, k.args(port), flags) },
	})
}

// Compact removes the history of the server's etcd: a watch from an earlier
// version is answered with 410 Gone.
func (k *KubeServer) Compact() {
	k.t.Helper()
	k.touched = true
	at := k.etcd.Server.KV().Rev()
	if _, err := k.etcd.Server.Compact(k.t.Context(), &etcdserverpb.CompactionRequest{Revision: at, Physical: true}); err != nil {
		k.t.Fatal(err)
	}
}

// KubeControllers starts a kube-controller-manager on the API server, with the
// controllers of workloads, the one that fills in the tokens of service accounts,
// and those that are named beside them.
func KubeControllers(t testing.TB, k *KubeServer, more ...string) *Server {
	t.Helper()
	path := program(t, cache.KubeControllerManager())
	dir, config := t.TempDir(), k.Kubeconfig(Admin)
	return start(t, launch{
		name: "kube-controller-manager", client: insecure(), probe: "/healthz", url: loopback("https"),
		argv: func(port int) []string {
			return []string{
				path, "--kubeconfig=" + config, "--authentication-kubeconfig=" + config, "--authorization-kubeconfig=" + config,
				"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port), "--cert-dir=" + dir, "--leader-elect=false", "--profiling=false",
				"--controllers=" + strings.Join(append([]string{"deployment-controller", "replicaset-controller", "statefulset-controller", "daemonset-controller", "job-controller", "cronjob-controller", "serviceaccount-token-controller"}, more...), ","),
				"--service-account-private-key-file=" + filepath.Join(k.dir, "tls.key"),
			}
		},
	})
}

// insecure is a client for a server that makes its own certificate, and that is
// only asked whether it is ready.
func insecure() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}} //nolint:gosec // a probe on loopback, which sends nothing
}

func (k *KubeServer) args(port int) []string {
	in := func(name string) string { return filepath.Join(k.dir, name) }
	return []string{
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		"--tls-cert-file=" + in("tls.crt"), "--tls-private-key-file=" + in("tls.key"), "--cert-dir=" + k.dir,
		"--etcd-servers=http://" + k.etcd.Clients[0].Addr().String(), "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24",
		"--token-auth-file=" + in("tokens.csv"), "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount",
		"--service-account-issuer=https://127.0.0.1", "--service-account-key-file=" + in("tls.key"), "--service-account-signing-key-file=" + in("tls.key"),
		"--audit-policy-file=" + in("audit.yaml"), "--audit-log-path=" + k.auditLog,
		"--watch-cache=false", "--profiling=false", "--enable-priority-and-fairness=false",
	}
}

// https is a client that trusts the server and has no account: /readyz is
// open to all.
func (k *KubeServer) https() *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(k.ca)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
}

// Kubeconfig writes a kubeconfig for one of the accounts and returns its path.
func (k *KubeServer) Kubeconfig(account string) string {
	k.t.Helper()
	return k.KubeconfigFor(account, k.URL)
}

// KubeconfigFor is Kubeconfig with another address, of a proxy before the
// server.
func (k *KubeServer) KubeconfigFor(account, url string) string {
	k.t.Helper()
	token, ok := k.tokens[account]
	if !ok {
		k.t.Fatalf("no account %q", account)
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["test"] = &clientcmdapi.Cluster{Server: url, CertificateAuthorityData: k.ca}
	config.AuthInfos[account] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: account}
	config.CurrentContext = "test"
	path := filepath.Join(k.t.TempDir(), account+".kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		k.t.Fatal(err)
	}
	return path
}

// TLS is the server's own certificate, for a proxy before it.
func (k *KubeServer) TLS() *tls.Config {
	k.t.Helper()
	cert, err := tls.LoadX509KeyPair(filepath.Join(k.dir, "tls.crt"), filepath.Join(k.dir, "tls.key"))
	if err != nil {
		k.t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
}

// Client returns a client with the rights of an account.
func (k *KubeServer) Client(account string) kubernetes.Interface {
	k.t.Helper()
	client, err := kubernetes.NewForConfig(k.config(account))
	if err != nil {
		k.t.Fatal(err)
	}
	return client
}

func (k *KubeServer) config(account string) *rest.Config {
	return &rest.Config{Host: k.URL, BearerToken: k.tokens[account], TLSClientConfig: rest.TLSClientConfig{CAData: k.ca}, QPS: -1}
}

// Dynamic is Client for objects of any kind.
func (k *KubeServer) Dynamic(account string) dynamic.Interface {
	k.t.Helper()
	client, err := dynamic.NewForConfig(k.config(account))
	if err != nil {
		k.t.Fatal(err)
	}
	return client
}

// AuditEntry is one request in the API server's audit log
// (audit.k8s.io/v1 Event).
type AuditEntry struct {
	Verb      string `json:"verb"`
	UserAgent string `json:"userAgent"`
	URI       string `json:"requestURI"`
	User      struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef struct {
		Resource    string `json:"resource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
		Subresource string `json:"subresource"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	RequestObject json.RawMessage `json:"requestObject"` // of what auditPolicy lists
}

// Everyone asks Audit for the requests of all accounts.
const Everyone = ""

// Audit returns the requests of an account that were answered, oldest first.
// An entry may come a moment after its answer: ask by Await for what must be
// there.
func (k *KubeServer) Audit(account string) []AuditEntry {
	k.t.Helper()
	a := &k.audited
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.readOn(k.auditLog); err != nil {
		k.t.Fatalf("audit log: %v", err)
	}
	var entries []AuditEntry
	for i := range a.entries {
		if account == Everyone || a.entries[i].User.Username == account {
			entries = append(entries, a.entries[i])
		}
	}
	return entries
}

// readOn reads what has come since.
func (a *audited) readOn(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, a.read, 1<<40))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		if !strings.HasSuffix(line, "\n") { // being written
			break
		}
		var e AuditEntry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return fmt.Errorf("%w: %s", err, line)
		}
		a.entries, a.read = append(a.entries, e), a.read+int64(len(line))
	}
	return nil
}

// auditPolicy records each request once, when it was answered, and what was
// sent of ConfigMaps, nodes, workloads and the objects of Argo CD and sealed
// secrets.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- {level: Request, resources: [{group: "", resources: [configmaps, nodes]}, {group: apps}, {group: argoproj.io}, {group: bitnami.com}]}
- {level: Metadata}
`
