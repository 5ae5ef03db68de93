package etcd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"

	"go.etcd.io/etcd/client/pkg/v3/transport"
)

// tlsInfo is mutual TLS between peers. A peer is who holds a certificate under
// the CA for one of the allowed names: that also keeps out a member of another
// cluster under the same CA. The address that it comes from is not looked up
// besides, so that no handshake waits for a name server.
func (c *Cluster) tlsInfo() transport.TLSInfo {
	return transport.TLSInfo{
		TrustedCAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile,
		ClientCertFile: c.CertFile, ClientKeyFile: c.KeyFile,
		ClientCertAuth: true, AllowedHostnames: c.AllowedHostnames, SkipClientSANVerify: true,
	}
}

// checkFiles refuses files with which no peer would ever be reached. That a
// certificate has expired is no reason not to start: without its store the
// daemon still pages.
func (c *Cluster) checkFiles(own *Peer) error {
	text, err := os.ReadFile(c.CAFile)
	if err != nil {
		return fmt.Errorf("--cluster.ca-file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return fmt.Errorf("--cluster.ca-file must hold PEM certificates, got none in %s", c.CAFile)
	}
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return fmt.Errorf("--cluster.cert-file and --cluster.key-file must be a PEM certificate and its key: %w", err)
	}
	between := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if cert, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(cert)
		}
	}
	for _, use := range []struct {
		name string
		key  x509.ExtKeyUsage
	}{{"server", x509.ExtKeyUsageServerAuth}, {"client", x509.ExtKeyUsageClientAuth}} {
		_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{use.key}})
		if bad := (x509.CertificateInvalidError{}); errors.As(err, &bad) && bad.Reason == x509.Expired {
			continue
		}
		if err != nil {
			return fmt.Errorf("--cluster.cert-file must be a %s certificate under --cluster.ca-file: %w", use.name, err)
		}
	}
	host, _, _ := net.SplitHostPort(own.Address)
	if err := pair.Leaf.VerifyHostname(host); err != nil {
		return fmt.Errorf("--cluster.cert-file must be for the host of member %s: %w", own.Name, err)
	}
	for _, name := range c.AllowedHostnames {
		if pair.Leaf.VerifyHostname(name) == nil {
			return nil
		}
	}
	return fmt.Errorf("--cluster.allowed-hostnames must hold a name of --cluster.cert-file, else its peers refuse it, got %q", c.AllowedHostnames)
}
