package credentials

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/test/standin/iam"
)

const (
	leakedID = "AKIAIOSFODNN7LEAKED1"
	newID    = "AKIAIOSFODNN7NEWKEY1"
)

// cloud is a daemon before the stand-in.
type cloud struct {
	*company

	iam *iam.Server
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	s := iam.New("AKIADAEMONDAEMON0001", iam.Key{ID: leakedID, Status: "Active", Used: now.Add(-2 * time.Hour)}, iam.Key{ID: newID, Status: "Active"})
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.Close()
		if v := s.Violations(); len(v) > 0 {
			t.Errorf("violations: %q", v)
		}
	})
	c := &cloud{company: &company{t: t, now: now, said: &bytes.Buffer{}, dir: t.TempDir()}, iam: s}
	c.file("aws", "[default]\naws_access_key_id = AKIADAEMONDAEMON0001\naws_secret_access_key = "+canary+"\n")
	c.file("url", server.URL)
	r, err := open(kind.Env{Now: c.clock, Agent: "signalbox/test", Log: slog.New(slog.NewTextHandler(c.said, nil))})
	c.must(err)
	c.r = r
	t.Cleanup(c.silent)
	return c
}

func (c *cloud) step(to string) signalbox.Step {
	c.t.Helper()
	s := newAccessKey()
	s.User, s.Leaked, s.CredentialsFile = "deploy", leakedID, "aws"
	url, err := os.ReadFile(filepath.Join(c.dir, "url"))
	c.must(err)
	s.Endpoint = string(url)
	s.Validate(func(path, rule string, value any) { c.t.Errorf("%s %s, got %v", path, rule, value) })
	raw, err := resolve(kind.SpecInput{Name: "leaked", Backend: "aws_access_key", Settings: s, ConfigDir: c.dir})
	c.hear(raw, err)
	c.must(err)
	return signalbox.Step{Kind: "credentials", Name: "leaked", To: to, Spec: raw}
}

// TestAccessKey: deactivated before it is deleted, each once, and neither while
// it is in use or nothing has taken its place.
func TestAccessKey(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	revoke, remove := c.step(moveRevoked), c.step(moveDeleted)
	c.refused(remove, "is still Active")
	c.iam.Set(func(k []iam.Key) { k[1].Status = "Inactive" })
	c.refused(revoke, "it is not rotated yet")
	c.iam.Set(func(k []iam.Key) { k[1].Status = "Active" })
	c.iam.Set(func(k []iam.Key) { k[0].Used = c.now.Add(-59 * time.Minute) })
	c.refused(revoke, "still on the old one")
	c.iam.Set(func(k []iam.Key) { k[0].Used = c.now.Add(-time.Hour) })
	a := c.claim(revoke, "a1", 10)
	held := a
	held.Gate = func() error { return errors.New("the lease is gone") }
	c.fails(held, "the lease is gone")
	if got := c.iam.Wrote(); got != nil {
		t.Fatalf("written before it was asked for: %v", got)
	}
	c.start(a)
	c.start(a)
	c.probe(a, signalbox.Succeeded)
	if f := c.preview(revoke); !f.Already {
		t.Errorf("revoked again: %+v", f)
	}
	b := c.claim(remove, "b1", 20)
	c.start(b)
	c.start(b)
	c.probe(b, signalbox.Succeeded)
	if got := c.iam.Wrote(); fmt.Sprint(got) != "[UpdateAccessKey DeleteAccessKey]" {
		t.Errorf("writes %v", got)
	}
}

// TestAccessKeyAnswers: which answers to the write say that nothing was done.
func TestAccessKeyAnswers(t *testing.T) {
	t.Parallel()
	refuse := func(code int, word string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			fmt.Fprintf(w, `<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>r</RequestId></ErrorResponse>`, word, canary)
		}
	}
	cut := func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
	garbage := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<"+canary) }
	for name, k := range map[string]struct {
		answer  http.HandlerFunc
		failure bool
	}{
		"400": {refuse(400, "ValidationError"), true}, "403": {refuse(403, "AccessDenied"), true}, "404": {refuse(404, "NoSuchEntity"), true},
		"408": {refuse(408, "RequestTimeout"), false}, "409": {refuse(409, "EntityTemporarilyUnmodifiable"), true}, "429": {refuse(429, "Throttling"), true},
		"500": {refuse(500, "ServiceFailure"), false}, "503": {refuse(503, "ServiceUnavailable"), false},
		"cut off": {cut, false}, "garbage": {garbage, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			a := c.claim(c.step(moveRevoked), "a1", 10)
			c.iam.Answer("UpdateAccessKey", k.answer, !k.failure) // what leaves a doubt had its effect
			_, err := c.r.Start(t.Context(), a)
			c.hear(nil, err)
			var failure *signalbox.Failure
			if err == nil && name != "garbage" || errors.As(err, &failure) != k.failure {
				t.Fatalf("got %v", err)
			}
			if got := c.iam.Wrote(); len(got) != 1 {
				t.Errorf("sent %v", got)
			}
			if !k.failure {
				c.probe(a, signalbox.Succeeded)
				return
			}
			c.probe(a, signalbox.InDoubt)
			c.now = c.now.Add(sendBound + awsLatency)
			c.probe(a, signalbox.NotStarted)
		})
	}
}

func TestAccessKeyCancelled(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	a := c.claim(c.step(moveRevoked), "a1", 10)
	ctx, cancel := context.WithCancel(t.Context())
	a.Gate = func() error { cancel(); return nil }
	_, err := c.r.Start(ctx, a)
	var failure *signalbox.Failure
	if !errors.As(err, &failure) || c.iam.Wrote() != nil {
		t.Errorf("got %v, sent %v", err, c.iam.Wrote())
	}
}
