package share_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"math/big"
	"net"
	"net/rpc"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/share"
	"github.com/signalbox/signalbox/internal/store"
)

// certificate is one that the store does not name.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Who connects without a certificate, or with one that the store does not name,
// is not answered, and nor is who speaks no TLS.
func TestStrangersAreNotAnswered(t *testing.T) {
	w := newTown(t)
	one := w.join("one")
	for name, certs := range map[string][]tls.Certificate{"none": nil, "another": {certificate(t)}} {
		conn, err := tls.Dial("tcp", one.listen.Addr().String(), &tls.Config{InsecureSkipVerify: true, Certificates: certs})
		if err == nil {
			err = rpc.NewClient(conn).Call("Asker.Ping", &share.Ping{}, &share.Ping{})
		}
		if err == nil {
			t.Errorf("with certificate %q: answered", name)
		}
	}
	conn, err := net.Dial("tcp", one.listen.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := rpc.NewClient(conn).Call("Asker.Ping", &share.Ping{}, &share.Ping{}); err == nil {
		t.Error("without TLS: answered")
	}
	if n := len(one.source.queries()); n > 0 {
		t.Errorf("%d questions were asked", n)
	}
}

// An address in the store at which another answers than the one whose
// certificate the store has is asked nothing.
func TestImpostorIsNotAsked(t *testing.T) {
	w, qs := newTown(t), questions(50)
	one := w.join("one")
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate(t)}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	tried := make(chan error, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, err = io.ReadAll(conn)
			conn.Close()
			tried <- err
		}
	}()
	value, err := json.Marshal(map[string]string{"replica": "two", "address": l.Addr().String(), "fingerprint": "00"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Commit(t.Context(), store.Txn{Puts: []store.Put{{Key: "peer/two", Value: value}}}); err != nil {
		t.Fatal(err)
	}
	w.set("two", "c1")
	for range 2 {
		if err := <-tried; err == nil {
			t.Error("the impostor could read")
		}
	}
	if by := round(t, one, qs, one); by["one"] != len(qs) {
		t.Errorf("asked here: %v", by)
	}
}

// short is a listener that has no room for its next connections.
type short struct {
	net.Listener
	left atomic.Int64
}

func (s *short) Accept() (net.Conn, error) {
	if s.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return s.Listener.Accept()
}

// A replica that is out of file descriptors for a while answers again after it.
func TestConnectionsThatCantBeTakenAreTakenLater(t *testing.T) {
	w, qs := newTown(t), questions(50)
	one := w.join("one")
	two := w.join("two", func(_ *share.Options, at *share.Place) {
		l := &short{Listener: at.Listener}
		l.left.Store(3)
		at.Listener = l
	})
	spread(t, one, qs, one, two)
}
