package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:9440": true, "127.8.8.8:1": true, "[::1]:9440": true, "localhost:9440": true, "[::ffff:127.0.0.1]:1": true,
		":9440": false, "0.0.0.0:9440": false, "[::]:9440": false, "10.0.0.1:9440": false, "example.com:9440": false,
		"localhost.example.com:1": false, "127.0.0.1": false, "0177.0.0.1:1": false, "2130706433:1": false, "": false,
	} {
		if got := loopback(address); got != want {
			t.Errorf("%q: got %v, want %v", address, got, want)
		}
	}
}

// webConfigs writes web configurations, beside a certificate that they name.
func webConfigs(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "signalbox"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	const tlsPart = "tls_server_config: {cert_file: cert.pem, key_file: key.pem"
	for name, text := range map[string]string{
		"cert.pem":    string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})),
		"key.pem":     string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"tls.yml":     tlsPart + "}\n",
		"asks.yml":    tlsPart + ", client_auth_type: RequestClientCert, client_ca_file: cert.pem}\n",
		"if.yml":      tlsPart + ", client_auth_type: VerifyClientCertIfGiven, client_ca_file: cert.pem}\n",
		"any.yml":     tlsPart + ", client_auth_type: RequireAnyClientCert, client_ca_file: cert.pem}\n",
		"client.yml":  tlsPart + ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: cert.pem}\n",
		"users.yml":   "basic_auth_users: {ops: $2y$10$EYxs8IOG46m9CtpB/XlPxO1ei7E4BjAen0SUv6di7mD4keR/8JO6m}\n",
		"nobody.yml":  "basic_auth_users: {}\n",
		"empty.yml":   "",
		"unknown.yml": "basic_auth: {ops: x}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Beyond loopback somebody must be asked who is there.
func TestMayListen(t *testing.T) {
	dir := webConfigs(t)
	for _, c := range []struct {
		address, config string
		guarded         bool
		says            string // of the refusal; empty: it may
	}{
		{"127.0.0.1:9440", "", false, ""},
		{"0.0.0.0:9440", "", true, ""},
		{"0.0.0.0:9440", "", false, "loopback only"},
		{":9440", "", false, "loopback only"},
		{"10.0.0.1:9440", "tls.yml", false, "loopback only"},
		{"10.0.0.1:9440", "asks.yml", false, "loopback only"},
		{"10.0.0.1:9440", "if.yml", false, "loopback only"},
		{"10.0.0.1:9440", "any.yml", false, "loopback only"},
		{"10.0.0.1:9440", "nobody.yml", false, "loopback only"},
		{"10.0.0.1:9440", "empty.yml", false, "loopback only"},
		{"10.0.0.1:9440", "client.yml", false, ""},
		{"10.0.0.1:9440", "users.yml", false, ""},
		{"10.0.0.1:9440", "unknown.yml", false, "unknown.yml"},
		{"10.0.0.1:9440", "missing.yml", false, "missing.yml"},
	} {
		config := c.config
		if config != "" {
			config = filepath.Join(dir, config)
		}
		err := mayListen("control", c.address, config, c.guarded)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s with %q, guarded %v: got %v, want %q", c.address, c.config, c.guarded, err, c.says)
		}
	}
}

// What listens beyond loopback is refused before anything is opened.
func TestDaemonRefusesToListenOpenly(t *testing.T) {
	open := strings.Replace(alertsOnly, ", auth: {bearer_file: secrets/am}", "", 1)
	for _, c := range []struct{ name, config, listen, webhooks, says string }{
		{"control", alertsOnly, "0.0.0.0:0", "127.0.0.1:0", "control: without authentication"},
		{"webhooks that ask nobody", open, "127.0.0.1:0", "0.0.0.0:0", `webhooks of source alerts: without authentication`},
		{"a wrong address", alertsOnly, "127.0.0.1:none", "127.0.0.1:0", "control"},
	} {
		h := newHouse(t, c.config)
		d, rt, err := newDaemon(Options{Config: h.dir, Data: t.TempDir(), Replica: "test", Listen: c.listen, ListenWebhooks: c.webhooks})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.bind(rt); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.says)
		}
	}
}

func TestWhoIs(t *testing.T) {
	plain := httptest.NewRequest(http.MethodPost, "/", nil)
	if got := whoIs(plain); got != "unauthenticated from "+plain.RemoteAddr {
		t.Errorf("nobody: got %q", got)
	}
	user := httptest.NewRequest(http.MethodPost, "/", nil)
	user.SetBasicAuth("ops", "secret")
	if got := whoIs(user); got != "ops" {
		t.Errorf("a user: got %q", got)
	}
	user.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: "lead"}}}}}
	if got := whoIs(user); got != "certificate lead" {
		t.Errorf("a certificate: got %q", got)
	}
	user.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: "forged"}}}}
	if got := whoIs(user); got != "ops" {
		t.Errorf("a certificate that nobody verified: got %q", got)
	}
}
