package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/telling"
)

func TestStartSendsOneSignedRequest(t *testing.T) {
	r := newRig(t)
	s := r.step(t, func(s *Settings) {
		keyed(s)
		s.Method = http.MethodPut
		s.Signature = &Signature{Header: "X-Signature", KeyFile: "hmac", TimestampHeader: "X-Time"}
	})
	f, err := r.Preview(t.Context(), s)
	if err != nil || f.Refused != "" || f.Class != signalbox.ClassB || f.Undo != nil || f.NeedsApproval != "" ||
		len(f.Targets) != 1 || f.Targets[0] != signalbox.Target("webhook "+r.server.URL+"/hook") {
		t.Fatalf("got %+v, %v", f, err)
	}
	if len(r.sent()) != 0 {
		t.Fatal("Preview sent the target a request")
	}
	a, gates := action(s, signalbox.Claimed), 0
	a.Gate = func() error { gates++; return nil }
	receipt, err := r.Start(t.Context(), a)
	if err != nil || !receipt.Final || !receipt.At.Equal(now) || !strings.Contains(receipt.Detail, "202 Accepted") || gates != 1 {
		t.Fatalf("got %+v, %v, gates %d", receipt, err, gates)
	}
	log := r.sent()
	if len(log) != 1 {
		t.Fatalf("%d requests", len(log))
	}
	q, mac := log[0], hmac.New(sha256.New, []byte(hidden))
	fmt.Fprintf(mac, "%d.%s", now.Unix(), q.body)
	for name, want := range map[string]string{
		"Idempotency-Key": "a-7", "X-Time": "1772359200", "Content-Type": "application/json", "User-Agent": "signalbox/test",
		"X-Signature": "sha256=" + hex.EncodeToString(mac.Sum(nil)),
	} {
		if got := q.header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	want := map[string]any{"who": `eve", "admin": "yes`, "of": "i-1"}
	if got := decoded(t, q.body); q.method != http.MethodPut || q.path != "/hook" || !maps.Equal(got, want) {
		t.Errorf("got %s %s %v", q.method, q.path, got)
	}
}

// The vector of RFC 4231, 4.3.
func TestSign(t *testing.T) {
	const want = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	if got := sign([]byte("Jefe"), []byte("what do ya want for nothing?"), ""); got != want {
		t.Errorf("got %s", got)
	}
}

// Whatever a label holds, the body says only what its author wrote.
func TestBodyHoldsForeignValuesAsValues(t *testing.T) {
	r := newRig(t)
	sp, err := parseSpec(r.step(t, nil).Spec)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		value := rapid.String().Draw(rt, "label")
		body, err := sp.fill(&signalbox.About{Incident: "i-1", Labels: map[string]string{"user": value}})
		plain := telling.Clean(value, telling.MostValue)
		if plain == "" {
			if err == nil {
				rt.Fatalf("an empty label made %s", body)
			}
			return
		}
		var into map[string]any
		if err != nil || json.Unmarshal(body, &into) != nil || !maps.Equal(into, map[string]any{"who": plain, "of": "i-1"}) {
			rt.Fatalf("%q made %s, %v", value, body, err)
		}
	})
}

func TestFormsAndText(t *testing.T) {
	r := newRig(t)
	for contentType, want := range map[string]string{
		"application/x-www-form-urlencoded": `u=eve%22%2C+%22admin%22%3A+%22yes`,
		"text/plain; charset=utf-8":         `u=eve", "admin": "yes`,
	} {
		s := r.step(t, func(s *Settings) { s.ContentType, s.Body = contentType, "u={{labels.user}}" })
		if _, err := r.Start(t.Context(), action(s, signalbox.Claimed)); err != nil {
			t.Fatal(err)
		}
		if log := r.sent(); log[len(log)-1].body != want {
			t.Errorf("%s: got %q", contentType, log[len(log)-1].body)
		}
	}
}

// What can't be done is refused before anything is sent.
func TestPreviewRefuses(t *testing.T) {
	r := newRig(t)
	r.file(t, "empty", "")
	r.file(t, "odd", "http://2130706433/"+hidden)
	for name, c := range map[string]struct {
		change func(*Settings)
		about  func(*signalbox.About)
		want   string
	}{
		"label missing":   {nil, func(a *signalbox.About) { a.Labels = nil }, "the incident has no label user"},
		"no key":          {func(s *Settings) { s.Signature = &Signature{Header: "X-S", KeyFile: "gone"} }, nil, "signature.key_file"},
		"empty key":       {func(s *Settings) { s.Signature = &Signature{Header: "X-S", KeyFile: "empty"} }, nil, "is empty"},
		"no address":      {func(s *Settings) { s.URL, s.URLFile = "", "gone" }, nil, "url_file"},
		"decimal address": {func(s *Settings) { s.URL, s.URLFile = "", "odd" }, nil, "its host in the usual form"},
		"loopback":        {func(s *Settings) { s.Networks = nil }, nil, "127.0.0.1 is a loopback address"},
		"by name":         {func(s *Settings) { s.URL, s.Networks = "http://localhost/", nil }, nil, "is a loopback address"},
		"metadata":        {func(s *Settings) { s.URL = "http://169.254.169.254/latest" }, nil, "metadata service"},
	} {
		s := r.step(t, c.change)
		if c.about != nil {
			c.about(s.About)
		}
		f, err := r.Preview(t.Context(), s)
		if err != nil || !strings.Contains(f.Refused, c.want) || f.Class != signalbox.ClassD || len(f.Targets) != 1 || strings.Contains(f.Refused, hidden) {
			t.Errorf("%s: got %+v, %v", name, f, err)
		}
		var failure *signalbox.Failure
		if _, err := r.Start(t.Context(), action(s, signalbox.Claimed)); !errors.As(err, &failure) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), hidden) {
			t.Errorf("%s: Start: %v", name, err)
		}
	}
	if n := len(r.sent()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	f, err := r.Preview(t.Context(), r.step(t, func(s *Settings) { s.Approval = "required" }))
	if err != nil || f.NeedsApproval == "" {
		t.Errorf("got %+v, %v", f, err)
	}
}

func TestGateAndEndOfContextSendNothing(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var failure *signalbox.Failure
	if _, err := r.Start(ctx, action(r.step(t, nil), signalbox.Claimed)); !errors.As(err, &failure) {
		t.Errorf("cancelled: %v", err)
	}
	a := action(r.step(t, nil), signalbox.Claimed)
	a.Gate = func() error { return errors.New("killed by op") }
	if _, err := r.Start(t.Context(), a); !errors.As(err, &failure) || !strings.Contains(err.Error(), "killed by op") {
		t.Errorf("gate: %v", err)
	}
	if n := len(r.sent()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// A second attempt is made only with a key, and while the server keeps it.
func TestSentAgainOnlyWhileTheKeyIsKept(t *testing.T) {
	r := newRig(t)
	blind, known := r.step(t, nil), r.step(t, keyed)
	for _, c := range []struct {
		step  signalbox.Step
		after time.Duration
		sent  bool
	}{
		{blind, time.Second, false},
		{known, time.Second, true},
		{known, time.Hour - 10*time.Second, true},
		{known, time.Hour - 9*time.Second, false}, // it could arrive too late
		{known, 48 * time.Hour, false},
	} {
		before := len(r.sent())
		r.clock = now.Add(c.after)
		_, err := r.Start(t.Context(), action(c.step, signalbox.Doubt))
		var failure *signalbox.Failure
		if sent := len(r.sent()) > before; sent != c.sent || (err == nil) != c.sent || errors.As(err, &failure) {
			t.Errorf("after %s: sent %t, %v", c.after, sent, err)
		}
	}
	r.clock, r.answer = now, status(http.StatusNotFound)
	var failure *signalbox.Failure
	if _, err := r.Start(t.Context(), action(known, signalbox.Doubt)); err == nil || errors.As(err, &failure) {
		t.Errorf("a second request that is refused says nothing of the first: %v", err)
	}
	if p, err := r.Probe(t.Context(), action(known, signalbox.Doubt)); err != nil || p.Phase != signalbox.InDoubt || p.Reason == "" {
		t.Errorf("Probe: %+v, %v", p, err)
	}
}
