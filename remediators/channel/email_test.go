package channel

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

const password = "correct horse"

// post is a real SMTP server that keeps what it takes.
type post struct {
	mu      sync.Mutex
	taken   []letter
	refuse  func(to string) error // of an address
	content error                 // of each message
	secure  []bool                // whether each message came by TLS
}

type letter struct {
	from string
	to   []string
	data string
}

type visit struct {
	*post
	conn   *smtp.Conn
	login  bool
	letter letter
}

func (p *post) NewSession(c *smtp.Conn) (smtp.Session, error) { return &visit{post: p, conn: c}, nil }

func (v *visit) AuthMechanisms() []string { return []string{sasl.Plain} }

func (v *visit) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, given string) error {
		if username != "signalbox" || given != password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no such login: " + given}
		}
		v.login = true
		return nil
	}), nil
}

func (v *visit) Reset()        { v.letter = letter{} }
func (v *visit) Logout() error { return nil }

func (v *visit) Mail(from string, _ *smtp.MailOptions) error {
	v.letter.from = from
	return nil
}

func (v *visit) Rcpt(to string, _ *smtp.RcptOptions) error {
	if v.refuse != nil {
		if err := v.refuse(to); err != nil {
			return err
		}
	}
	v.letter.to = append(v.letter.to, to)
	return nil
}

func (v *visit) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.content != nil {
		return v.content
	}
	v.letter.data = string(b)
	v.taken = append(v.taken, v.letter)
	_, byTLS := v.conn.TLSConnectionState()
	v.secure = append(v.secure, byTLS)
	return nil
}

// serve runs the server until the test ends.
func serve(t *testing.T, p *post, trust *tls.Config) (smarthost string) {
	t.Helper()
	s := smtp.NewServer(p)
	s.Domain, s.AllowInsecureAuth, s.TLSConfig, s.ReadTimeout = "localhost", true, trust, 10*time.Second
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return l.Addr().String()
}

func letterTo(smarthost string, to ...string) *Email {
	return &Email{To: to, From: "signalbox@x.example", Smarthost: smarthost}
}

func TestEmail(t *testing.T) {
	r, p := newRig(t), &post{}
	spec := r.spec(t, letterTo(serve(t, p, nil), "a@x.example", "b@x.example"))
	for range 2 {
		if err := r.Page(t.Context(), spec, "signalbox-1", "trigger", body()); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Page(t.Context(), spec, "signalbox-1", "resolve", body()); err != nil {
		t.Fatal(err)
	}
	if len(p.taken) != 6 || p.taken[0].from != "signalbox@x.example" || !slices.Equal(p.taken[1].to, []string{"b@x.example"}) {
		t.Fatalf("got %+v", p.taken)
	}
	m, text := read(t, p.taken[0].data)
	if m.Get("Subject") != "[signalbox] PAGE for backend: lag is 1.2s" || m.Get("To") != "<a@x.example>" || m.Get("Auto-Submitted") != "auto-generated" || m.Get("Date") != "Sun, 01 Mar 2026 10:00:00 +0000" {
		t.Errorf("got %v", m)
	}
	for _, want := range []string{"PAGE for backend: lag is 1.2s\n", "The pager did not take this page.", "- flip to b", "page signalbox-1"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
	again, _ := read(t, p.taken[2].data)
	end, _ := read(t, p.taken[4].data)
	if again.Get("Message-ID") != m.Get("Message-ID") || end.Get("Message-ID") == m.Get("Message-ID") || end.Get("References") != m.Get("References") {
		t.Errorf("got ids %s, %s, %s", m.Get("Message-ID"), again.Get("Message-ID"), end.Get("Message-ID"))
	}
}

func read(t *testing.T, data string) (mail.Header, string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Subject"} {
		if text, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get(name)); err == nil {
			m.Header[name] = []string{text}
		}
	}
	b, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil {
		t.Fatal(err)
	}
	return m.Header, strings.ReplaceAll(string(b), "\r\n", "\n")
}

// Nothing that stands in a page adds a header or an address.
func TestEmailHeadersAreNotInjected(t *testing.T) {
	r, p := newRig(t), &post{}
	if err := r.Page(t.Context(), r.spec(t, letterTo(serve(t, p, nil), "a@x.example")), "k\r\nBcc: x@evil.example", "trigger", nastyBody()); err != nil {
		t.Fatal(err)
	}
	m, _ := read(t, p.taken[0].data)
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	want := []string{"Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "References", "Subject", "To"}
	if !slices.Equal(names, want) || len(p.taken[0].to) != 1 {
		t.Errorf("got %q, to %q", names, p.taken[0].to)
	}
}

func TestEmailAnswers(t *testing.T) {
	said := func(code int) error {
		return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 1, 1}, Message: "no"}
	}
	for name, c := range map[string]struct {
		refuse  func(string) error
		content error
		want    string
		taken   int
	}{
		"well":                 {want: "accepted", taken: 2},
		"one address is gone":  {refuse: func(to string) error { return on(to == "a@x.example", said(550)) }, want: "accepted", taken: 1},
		"all are gone":         {refuse: func(string) error { return said(550) }, want: "failure"},
		"not now":              {refuse: func(string) error { return said(451) }, want: "retry"},
		"content is refused":   {content: said(554), want: "failure"},
		"content is postponed": {content: said(452), want: "retry"},
	} {
		r, p := newRig(t), &post{refuse: c.refuse, content: c.content}
		err := r.Page(t.Context(), r.spec(t, letterTo(serve(t, p, nil), "a@x.example", "b@x.example")), "k", "trigger", body())
		if sortOf(err) != c.want || len(p.taken) != c.taken {
			t.Errorf("%s: got %v, taken %d", name, err, len(p.taken))
		}
	}
	r := newRig(t)
	if err := r.Page(t.Context(), r.spec(t, letterTo("127.0.0.1:1", "a@x.example")), "k", "trigger", body()); sortOf(err) != "retry" {
		t.Errorf("nobody listens: got %v", err)
	}
}

func on(is bool, err error) error {
	if is {
		return err
	}
	return nil
}

func TestEmailLogin(t *testing.T) {
	r, p := newRig(t), &post{}
	s := letterTo(serve(t, p, nil), "a@x.example")
	s.Username, s.PasswordFile = "signalbox", r.file(t, "password", password)
	spec := r.spec(t, s)
	if err := r.Page(t.Context(), spec, "k", "trigger", body()); err != nil || len(p.taken) != 1 {
		t.Fatalf("got %v", err)
	}
	r.file(t, "password", "wrong staple")
	err := r.Page(t.Context(), spec, "k", "trigger", body())
	if sortOf(err) != "retry" || strings.Contains(err.Error(), "wrong staple") || !strings.Contains(err.Error(), "535") {
		t.Errorf("got %v", err)
	}
	r.file(t, "password", "")
	if err := r.Page(t.Context(), spec, "k", "trigger", body()); sortOf(err) != "retry" || !strings.Contains(err.Error(), "password") {
		t.Errorf("got %v", err)
	}
}

// Where a certificate authority is named, or the server is elsewhere, nothing
// goes in the clear.
func TestEmailTLS(t *testing.T) {
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	r, p := newRig(t), &post{}
	ca := r.file(t, "ca", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})))
	s := letterTo(serve(t, p, &tls.Config{Certificates: web.TLS.Certificates}), "a@x.example")
	s.CAFile = ca
	if err := r.Page(t.Context(), r.spec(t, s), "k", "trigger", body()); err != nil || len(p.secure) != 1 || !p.secure[0] {
		t.Fatalf("got %v, by TLS %v", err, p.secure)
	}
	plain := letterTo(serve(t, p, nil), "a@x.example") // offers no STARTTLS
	plain.CAFile = ca
	if err := r.Page(t.Context(), r.spec(t, plain), "k", "trigger", body()); sortOf(err) != "retry" || len(p.taken) != 1 {
		t.Errorf("without TLS: got %v", err)
	}
	c, err := letterTo("smtp.x.example:587", "a@x.example").client(t.Context(), "")
	if err != nil || c.TLSPolicy() != "TLSMandatory" {
		t.Errorf("elsewhere: got %v, %v", c.TLSPolicy(), err)
	}
}

// A server that hangs is given up in time.
func TestEmailDeadline(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r := newRig(t)
	err = r.Page(ctx, r.spec(t, letterTo(l.Addr().String(), "a@x.example")), "k", "trigger", body())
	if sortOf(err) != "retry" || ctx.Err() == nil || strings.Contains(err.Error(), "i/o timeout") { // that is the library's own, much later
		t.Errorf("got %v", err)
	}
}
