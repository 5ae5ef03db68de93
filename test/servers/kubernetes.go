package servers

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/kubernetes"
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
// process. It has no controllers and no kubelets.
type KubeServer struct {
	*Server

	t        testing.TB
	dir      string
	ca       []byte            // PEM
	tokens   map[string]string // by account
	auditLog string
}

// KubeAPI starts an API server.
func KubeAPI(t testing.TB) *KubeServer {
	t.Helper()
	path := program(t, cache.KubeAPIServer())
	dir := t.TempDir()
	k := &KubeServer{t: t, dir: dir, tokens: map[string]string{Admin: rand.Text(), Daemon: rand.Text()}, auditLog: filepath.Join(dir, "audit.log")}
	k.ca = writeServingCert(t, dir)
	writeFile(t, filepath.Join(dir, "tokens.csv"), fmt.Appendf(nil, "%s,%s,1,\"system:masters\"\n%s,%s,2\n", k.tokens[Admin], Admin, k.tokens[Daemon], Daemon))
	writeFile(t, filepath.Join(dir, "audit.yaml"), []byte(auditPolicy))
	etcd := startEtcd(t)
	k.Server = start(t, launch{
		name: "kube-apiserver", client: k.https(), probe: "/readyz", url: loopback("https"),
		argv: func(port int) []string { return append([]string{path}, k.args(port, etcd)...) },
	})
	return k
}

func (k *KubeServer) args(port int, etcd string) []string {
	in := func(name string) string { return filepath.Join(k.dir, name) }
	return []string{
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		"--tls-cert-file=" + in("tls.crt"), "--tls-private-key-file=" + in("tls.key"), "--cert-dir=" + k.dir,
		"--etcd-servers=" + etcd, "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24",
		"--token-auth-file=" + in("tokens.csv"), "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount",
		"--service-account-issuer=https://127.0.0.1", "--service-account-key-file=" + in("tls.key"), "--service-account-signing-key-file=" + in("tls.key"),
		"--audit-policy-file=" + in("audit.yaml"), "--audit-log-path=" + k.auditLog,
		"--watch-cache=false", "--profiling=false",
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

// Client returns a client with the rights of an account.
func (k *KubeServer) Client(account string) kubernetes.Interface {
	k.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", k.Kubeconfig(account))
	if err != nil {
		k.t.Fatal(err)
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
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
	RequestObject json.RawMessage `json:"requestObject"` // of ConfigMaps
}

// Audit returns the requests of an account that were answered, oldest first.
// An entry may come a moment after its answer: ask by Await for what must be
// there.
func (k *KubeServer) Audit(account string) []AuditEntry {
	k.t.Helper()
	b, err := os.ReadFile(k.auditLog)
	if err != nil {
		k.t.Fatal(err)
	}
	var entries []AuditEntry
	for line := range strings.Lines(string(b)) {
		if !strings.HasSuffix(line, "\n") { // being written
			break
		}
		var e AuditEntry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			k.t.Fatalf("audit log: %v: %s", err, line)
		}
		if e.User.Username == account {
			entries = append(entries, e)
		}
	}
	return entries
}

// auditPolicy records each request once, when it was answered, and what was
// sent of ConfigMaps.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- {level: Request, resources: [{group: "", resources: [configmaps]}]}
- {level: Metadata}
`
