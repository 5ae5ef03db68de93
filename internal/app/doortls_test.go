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
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t, cert, key}
}

// issue signs a certificate of a server and client; edit changes what is
// signed.
func (a *authority) issue(edit func(*x509.Certificate)) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	edit(template)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// of signs a certificate with e-mail addresses.
func (a *authority) of(addresses ...string) tls.Certificate {
	return a.issue(func(c *x509.Certificate) { c.EmailAddresses = addresses })
}

// tlsStaff is who is known at a door of TLS.
const tlsStaff = alertsOnly + `
people:
  lead: {token_file: secrets/lead, client_names: [lead@example.org], may: [{do: [view, control, kill, approve, reload]}]}
  viewer: {token_file: secrets/viewer, client_names: [viewer@example.org], may: [{do: [view]}]}
`

// newTLSHouse is a daemon whose control asks for certificates of ca.
func newTLSHouse(t *testing.T, ca *authority, asks string) *house {
	t.Helper()
	h := newHouse(t, tlsStaff)
	own := ca.issue(func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	encoded := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	h.write("tls/server.pem", encoded("CERTIFICATE", own.Certificate[0]))
	h.write("tls/server.key", encoded("PRIVATE KEY", key))
	h.write("tls/ca.pem", encoded("CERTIFICATE", ca.cert.Raw))
	h.write("tls/web.yml", "tls_server_config: {cert_file: server.pem, key_file: server.key, client_ca_file: ca.pem, client_auth_type: "+asks+"}\n")
	h.write("secrets/lead", leadToken)
	h.write("secrets/viewer", viewerToken)
	h.web = "tls/web.yml"
	h.client = h.with(ca, ca.of("lead@example.org"))
	h.asked("0123456789ab", "")
	return h.open()
}

func clientTLS(ca *authority, certs ...tls.Certificate) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	c := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if len(certs) > 0 { // shown whatever authority the server asks for
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certs[0], nil }
	}
	return c
}

// with is a client that shows a certificate, or none.
func (h *house) with(ca *authority, certs ...tls.Certificate) *http.Client {
	transport := &http.Transport{TLSClientConfig: clientTLS(ca, certs...)}
	h.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// through sends a request of a client.
func (h *house) through(c *http.Client, token, method, path, body string, edits ...func(*http.Request)) answered {
	h.t.Helper()
	own := h.client
	defer func() { h.client = own }()
	h.client = c
	return h.as(token, method, path, body, edits...)
}

// A certificate of the authority has the rights of the person whom it names,
// and no others.
func TestCertificatesAtTheDoor(t *testing.T) {
	ca := newAuthority(t)
	h := newTLSHouse(t, ca, "RequireAndVerifyClientCert")
	lead, viewer, nobody := h.client, h.with(ca, ca.of("viewer@example.org")), h.with(ca, ca.of("guest@example.org"))
	both := h.with(ca, ca.of("viewer@example.org", "lead@example.org"))
	const control, approval, approve = "/api/v1/control", "/api/v1/approvals/0123456789ab", `{"answer":"approve"}`
	id := string(h.statusAs("").Incidents[0].ID)
	for _, c := range []struct {
		name         string
		client       *http.Client
		token        string
		method, path string
		body         string
		status       int
		says         string
	}{
		{"viewer looks", viewer, "", "GET", "/api/v1/status", "", 200, ""},
		{"viewer pauses", viewer, "", "POST", control, `{"kind":"pause","scope":"all","reason":"x"}`, 403, "viewer may not: it needs the right to control on all"},
		{"viewer takes", viewer, "", "POST", control, `{"kind":"take","scope":"incident/` + id + `","reason":"x"}`, 403, "viewer may not"},
		{"viewer kills", viewer, "", "POST", control, `{"kind":"kill","scope":"all","reason":"x"}`, 403, "right to kill"},
		{"viewer approves", viewer, "", "POST", approval, approve, 403, "right to approve"},
		{"viewer reloads", viewer, "", "POST", "/-/reload", "", 403, "right to reload"},
		{"nobody looks", nobody, "", "GET", "/api/v1/status", "", 401, "no credential of a person"},
		{"nobody pauses", nobody, "", "POST", control, `{"kind":"pause","scope":"all","reason":"x"}`, 401, "no credential of a person"},
		{"nobody with the lead's token", nobody, leadToken, "GET", "/api/v1/status", "", 200, ""},
		{"viewer with the lead's token", viewer, leadToken, "POST", approval, approve, 401, "the certificate is of viewer, and what is sent with it of lead"},
		{"lead with the viewer's token", lead, viewerToken, "GET", "/api/v1/status", "", 401, "the certificate is of lead, and what is sent with it of viewer"},
		{"lead with a wrong token", lead, "wrong-token-0123456789", "GET", "/api/v1/status", "", 401, "no credential"},
		{"a certificate of two people", both, "", "GET", "/api/v1/status", "", 401, "one certificate names lead and viewer"},
		{"lead pauses", lead, "", "POST", control, `{"kind":"pause","scope":"all","reason":"x"}`, 200, `"who":"lead"`},
		{"lead takes", lead, leadToken, "POST", control, `{"kind":"take","scope":"incident/` + id + `","reason":"x"}`, 200, `"who":"lead"`},
		{"lead approves", lead, "", "POST", approval, approve, 200, `"who":"lead"`},
	} {
		if got := h.through(c.client, c.token, c.method, c.path, c.body); got.status != c.status || !strings.Contains(got.body, c.says) {
			t.Errorf("%s: got %d %s, want %d that says %q", c.name, got.status, got.body, c.status, c.says)
		}
	}
}

// A certificate that can't be trusted ends in the handshake: no request of it
// is read.
func TestHandshakesThatAreRefused(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	h := newTLSHouse(t, ca, "RequireAndVerifyClientCert")
	lead := func(edit func(*x509.Certificate)) []tls.Certificate {
		return []tls.Certificate{ca.issue(func(c *x509.Certificate) { c.EmailAddresses = []string{"lead@example.org"}; edit(c) })}
	}
	for name, c := range map[string]struct {
		certs []tls.Certificate
		says  string
	}{
		"no certificate":          {nil, "certificate required"},
		"another authority":       {[]tls.Certificate{other.of("lead@example.org")}, "unknown certificate authority"},
		"expired":                 {lead(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), "expired certificate"},
		"not yet valid":           {lead(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), "expired certificate"},
		"of a server, not client": {lead(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), "bad certificate"},
	} {
		// Nothing is written after the handshake, so that its answer isn't lost.
		conn, err := tls.Dial("tcp", strings.TrimPrefix(h.control, "https://"), clientTLS(ca, c.certs...))
		if err == nil {
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "remote error: tls: "+c.says) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
	if n := testutil.ToFloat64(h.d.metrics.refusals.WithLabelValues("nobody")); n != 0 {
		t.Errorf("%v requests came through", n)
	}
}

// Where a certificate may be given, a token is enough, and a certificate of
// another person beside it is not.
func TestCertificatesThatMayBeGiven(t *testing.T) {
	ca := newAuthority(t)
	h := newTLSHouse(t, ca, "VerifyClientCertIfGiven")
	none := h.with(ca)
	for _, c := range []struct {
		name, token string
		client      *http.Client
		edit        func(*http.Request)
		status      int
	}{
		{"nothing", "", none, nil, 401},
		{"a token", viewerToken, none, nil, 200},
		{"a certificate", "", h.client, nil, 200},
		{"both of one", leadToken, h.client, nil, 200},
		{"both of two", viewerToken, h.client, nil, 401},
		{"what a proxy would say", "", none, func(r *http.Request) {
			r.Header.Set("X-Forwarded-For", "127.0.0.1")
			r.Header.Set("X-Forwarded-Client-Cert", `Subject="CN=lead@example.org"`)
			r.Header.Set("X-SSL-Client-S-DN", "CN=lead@example.org")
		}, 401},
	} {
		edit := c.edit
		if edit == nil {
			edit = func(*http.Request) {}
		}
		if got := h.through(c.client, c.token, "GET", "/api/v1/status", "", edit); got.status != c.status {
			t.Errorf("%s: got %d %s, want %d", c.name, got.status, got.body, c.status)
		}
	}
}

// People's credentials are taken in the clear on loopback only, and where there
// are no people, nobody unknown is let in from elsewhere.
func TestMayControlFrom(t *testing.T) {
	t.Chdir(webConfigs(t))
	for _, c := range []struct {
		address, config string
		persons         int
		says            string // of the refusal; empty: it may
	}{
		{"127.0.0.1:9440", "", 0, ""},
		{"[::1]:9440", "", 3, ""},
		{"localhost:9440", "users.yml", 3, ""},
		{"0.0.0.0:9440", "", 0, "without authentication"},
		{"[::]:9440", "tls.yml", 0, "without authentication"},
		{"10.0.0.1:9440", "users.yml", 0, ""},
		{":9440", "", 3, "without TLS"},
		{"10.0.0.1:9440", "users.yml", 3, "without TLS"},
		{"10.0.0.1:9440", "empty.yml", 3, "without TLS"},
		{"localhost.example.com:9440", "", 3, "without TLS"},
		{"10.0.0.1:9440", "tls.yml", 3, ""},
		{"10.0.0.1:9440", "client.yml", 3, ""},
		{"10.0.0.1:9440", "missing.yml", 3, "missing.yml"},
	} {
		err := mayControlFrom(c.address, c.config, c.persons)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s with %q and %d people: got %v, want %q", c.address, c.config, c.persons, err, c.says)
		}
	}
}

// Who asks is where the connection comes from, whatever a header says.
func TestForwardedHeadersAreNobodysName(t *testing.T) {
	h := newHouse(t, alertsOnly).open()
	got := h.as("", "POST", "/api/v1/control", `{"kind":"pause","scope":"all","reason":"x"}`, func(r *http.Request) {
		for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "X-Forwarded-User"} {
			r.Header.Set(name, "203.0.113.9")
		}
	})
	if got.status != http.StatusOK || !strings.Contains(got.body, `"who":"unauthenticated from 127.0.0.1:`) || strings.Contains(got.body, "203.0.113.9") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}
