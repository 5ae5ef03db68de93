package share

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// identity is the certificate of this run, and its fingerprint. Its key is
// never written anywhere.
type identity struct {
	cert  tls.Certificate
	print string
}

// lives is how long a run's certificate says that it is valid: nobody looks,
// the store says which one counts.
const lives = 100 * 365 * 24 * time.Hour

func newIdentity(replica string, now time.Time) (*identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key of this run: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: replica},
		NotBefore: now.Add(-lives), NotAfter: now.Add(lives), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("certificate of this run: %w", err)
	}
	return &identity{cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, print: fingerprint(der)}, nil
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// errStranger: the other end is nobody whom the store names.
var errStranger = errors.New("its certificate is not the one that the store has of a replica")

// client is the configuration to connect to the replica with that fingerprint.
func (id *identity) client(print string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{id.cert},
		InsecureSkipVerify: true, // no name and no authority counts, but the one certificate that the store names
		VerifyConnection:   func(s tls.ConnectionState) error { return shows(s, func(p string) bool { return p == print }) },
	}
}

// server is the configuration to be connected to by replicas that are known.
func (id *identity) server(known func(print string) bool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{id.cert}, ClientAuth: tls.RequireAnyClientCert,
		VerifyConnection: func(s tls.ConnectionState) error { return shows(s, known) },
	}
}

// shows looks at the certificate of the other end, which has proved that it has
// its key.
func shows(s tls.ConnectionState, known func(print string) bool) error {
	if len(s.PeerCertificates) == 0 || !known(fingerprint(s.PeerCertificates[0].Raw)) {
		return errStranger
	}
	return nil
}
