package catalog

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/servers"
)

// certified is a server whose certificate expires when left has passed.
func certified(t *testing.T, left *atomic.Int64) *httptest.Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	// StartTLS would bring a certificate of its own.
	s.Listener = tls.NewListener(s.Listener, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Duration(left.Load()))}
		der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
	}})
	s.Start()
	s.URL = strings.Replace(s.URL, "http:", "https:", 1)
	t.Cleanup(s.Close)
	return s
}

// A certificate that expires within days is ill, one that is renewed is well,
// and of one that can't be seen nothing is known.
func TestCertificateExpiry(t *testing.T) {
	t.Parallel()
	const day = int64(24 * time.Hour)
	var left atomic.Int64
	left.Store(90 * day)
	site, prober := certified(t, &left), servers.BlackboxExporter(t)
	metrics := servers.Prometheus(t, servers.PrometheusOptions{
		Scrape: map[string][]string{"certificates": {prober.Host()}},
		Paths:  map[string]string{"certificates": "/probe?" + url.Values{"module": {"https"}, "target": {site.URL}}.Encode()},
	})
	w := watching(t, metrics.URL, `{name: certificates, source: metrics, catalog: certificate-expiry, with: {select: 'job="certificates"'}, interval: 1s, max_age: 10s, breach: {for: 1s}, clear: {for: 1s}}`)[0]
	subject := "certificate/" + prober.Host()
	w.await("it lasts for months", subject, signalbox.Clear, false)
	left.Store(5 * day)
	w.await("it expires within days", subject, signalbox.Breached, true)
	left.Store(90 * day)
	w.await("it was renewed", subject, signalbox.Clear, false)
	site.Close()
	w.await("nobody answers", subject, signalbox.Unknown, false)
}
