package servers

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// EtcdServer is an etcd of one member, or one member of an EtcdCluster, in a
// process of its own, with its clients under mutual TLS. A test may Pause it, Kill it and Restart it on its data.
type EtcdServer struct {
	*Server
	CA, Cert, Key string // PEM files, for its clients

	t testing.TB
}

// Names of the variables that make a test's own binary an etcd: the directory
// of its files, and the address for its clients.
const (
	etcdDir  = "SIGNALBOX_TEST_ETCD_DIR"
	etcdAddr = "SIGNALBOX_TEST_ETCD_ADDR"
)

// Where a test's binary is started to be an etcd, it is one, and no test runs.
func init() {
	if dir := os.Getenv(etcdDir); dir != "" {
		if err := runEtcd(dir, os.Getenv(etcdAddr)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// Etcd starts an etcd. It is the one of the module that the product embeds, run
// by the test's own binary.
func Etcd(t testing.TB) *EtcdServer {
	t.Helper()
	dir := etcdFiles(t)
	e := newEtcd(t, dir)
	e.launch(dir, func(ctx context.Context, port int) error { return e.ask(ctx, loopback("https")(port)) })
	return e
}

// etcdFiles makes the directory of an etcd.
func etcdFiles(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short leaves out what needs a real server (etcd)")
	}
	dir := t.TempDir()
	writeMutualCert(t, dir)
	return dir
}

func newEtcd(t testing.TB, dir string) *EtcdServer {
	return &EtcdServer{t: t, CA: filepath.Join(dir, "tls.crt"), Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
}

func (e *EtcdServer) launch(dir string, check func(ctx context.Context, port int) error, env ...string) {
	e.t.Helper()
	self, err := os.Executable()
	if err != nil {
		e.t.Fatal(err)
	}
	e.Server = start(e.t, launch{
		name: "etcd", url: loopback("https"), check: check,
		argv: func(port int) []string {
			argv := append([]string{"/usr/bin/env", etcdDir + "=" + dir, fmt.Sprintf("%s=127.0.0.1:%d", etcdAddr, port)}, env...)
			return append(argv, self)
		},
	})
}

// Client connects to the etcd as its clients do, until the test ends.
func (e *EtcdServer) Client() *clientv3.Client {
	e.t.Helper()
	client, err := e.connect(e.URL)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = client.Close() })
	return client
}

func (e *EtcdServer) connect(url string) (*clientv3.Client, error) {
	info := transport.TLSInfo{TrustedCAFile: e.CA, CertFile: e.Cert, KeyFile: e.Key}
	tls, err := info.ClientConfig()
	if err != nil {
		return nil, err
	}
	return clientv3.New(clientv3.Config{Endpoints: []string{url}, TLS: tls, DialTimeout: time.Second, Logger: zap.NewNop()})
}

// ask reports whether a linearizable read is answered.
func (e *EtcdServer) ask(ctx context.Context, url string) error {
	return e.with(ctx, url, func(ctx context.Context, client *clientv3.Client) error {
		_, err := client.Get(ctx, "is it there")
		return err
	})
}

// with calls f with a client of its own, and a bound.
func (e *EtcdServer) with(ctx context.Context, url string, f func(context.Context, *clientv3.Client) error) error {
	client, err := e.connect(url)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return f(ctx, client)
}

// Restore stops the etcd in good order, makes its data anew as etcdutl snapshot
// restore does, and starts it: from a backup, or where that is empty from the
// database file that it leaves.
func (e *EtcdServer) Restore(backup string) {
	e.t.Helper()
	e.Stop()
	data, lost := filepath.Join(filepath.Dir(e.CA), "data"), filepath.Join(e.t.TempDir(), "lost")
	if err := os.Rename(data, lost); err != nil {
		e.t.Fatal(err)
	}
	left, address := backup == "", "http://127.0.0.1:1"
	if left {
		backup = filepath.Join(lost, "member", "snap", "db")
	}
	err := snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath: backup, SkipHashCheck: left, OutputDataDir: data, RevisionBump: 1_000_000_000, MarkCompacted: true,
		Name: "test", PeerURLs: []string{address}, InitialCluster: "test=" + address, InitialClusterToken: "restored",
	})
	if err != nil {
		e.t.Fatal(err)
	}
	e.Restart()
}

// runEtcd serves until SIGTERM.
func runEtcd(dir, addr string) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	data, name, peer, members := etcdData(dir)
	clients := url.URL{Scheme: "https", Host: addr}
	peers, err := url.Parse(peer)
	if err != nil {
		return err
	}
	config := embed.NewConfig()
	config.Name, config.Dir = name, data
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{clients}, []url.URL{clients}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{*peers}, []url.URL{*peers}
	config.InitialCluster = cmp.Or(members, name+"="+peer)
	config.ClientTLSInfo = transport.TLSInfo{
		CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key"), TrustedCAFile: filepath.Join(dir, "tls.crt"), ClientCertAuth: true,
	}
	config.EnableGRPCGateway = false
	config.LogLevel = "warn"
	config.LogOutputs = []string{embed.StdErrLogOutput}
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	defer etcd.Close()
	select {
	case <-stop:
		return nil
	case err := <-etcd.Err():
		return err
	}
}

// writeMutualCert writes tls.crt and tls.key, self-signed: both sides show it,
// and trust nothing else.
func writeMutualCert(t testing.TB, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "signalbox-test-etcd"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "tls.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	writeFile(t, filepath.Join(dir, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
}
