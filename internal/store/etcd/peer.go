package etcd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
)

const (
	peerValidity = 10 * 365 * 24 * time.Hour
	peerRenewal  = 365 * 24 * time.Hour // before the end, at a start
)

// peerTLS returns mutual TLS for the peer port: a certificate under a CA of
// our own, both made at the first start and kept in dir, mode 0600. Nobody
// keeps the CA's key, so no other peer can ever be given a certificate.
func peerTLS(dir string, now time.Time) (transport.TLSInfo, error) {
	info := transport.TLSInfo{
		TrustedCAFile:  filepath.Join(dir, "ca.crt"),
		CertFile:       filepath.Join(dir, "peer.crt"),
		KeyFile:        filepath.Join(dir, "peer.key"),
		ClientCertAuth: true,
	}
	info.ClientCertFile, info.ClientKeyFile = info.CertFile, info.KeyFile
	fresh, err := isFresh(info, now)
	if err == nil && !fresh {
		err = makePeerFiles(dir, info, now)
	}
	return info, err
}

// isFresh reports whether the certificate is there and lasts. The key is
// written first and the certificate last, so that a half-made set is not fresh.
func isFresh(info transport.TLSInfo, now time.Time) (bool, error) {
	text, err := os.ReadFile(info.CertFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return false, nil
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	return err == nil && now.Add(peerRenewal).Before(cert.NotAfter), nil
}

func makePeerFiles(dir string, info transport.TLSInfo, now time.Time) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := template("signalbox store CA", now)
	ca.IsCA, ca.BasicConstraintsValid = true, true
	ca.KeyUsage = x509.KeyUsageCertSign
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	peer := template("signalbox store member", now)
	peer.KeyUsage = x509.KeyUsageDigitalSignature
	peer.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	peer.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	peerDER, err := x509.CreateCertificate(rand.Reader, peer, ca, key.Public(), caKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writePeerFiles(info, keyDER, caDER, peerDER)
}

func writePeerFiles(info transport.TLSInfo, keyDER, caDER, peerDER []byte) error {
	if err := os.Remove(info.CertFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, f := range []struct {
		path, kind string
		der        []byte
	}{
		{info.KeyFile, "PRIVATE KEY", keyDER},
		{info.TrustedCAFile, "CERTIFICATE", caDER},
		{info.CertFile, "CERTIFICATE", peerDER},
	} {
		if err := writePEM(f.path, f.kind, f.der); err != nil {
			return err
		}
	}
	return nil
}

func template(name string, now time.Time) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // never fails: crypto/rand
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour), // clocks are set back
		NotAfter:     now.Add(peerValidity),
	}
}

// writePEM replaces the file whole, or leaves it as it was.
func writePEM(path, kind string, der []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	err = errors.Join(pem.Encode(file, &pem.Block{Type: kind, Bytes: der}), file.Sync(), file.Close())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.Rename(file.Name(), path)
}
