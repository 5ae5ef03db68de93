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
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

const (
	leakedID = "AKIAIOSFODNN7LEAKED1"
	newID    = "AKIAIOSFODNN7NEWKEY1"
)

// standIn is as much of IAM's query protocol (version 2010-05-08) as is asked
// for. It refuses what IAM would: a request that is not signed, an action or a
// parameter that it does not know.
type standIn struct {
	t    *testing.T
	mu   sync.Mutex
	keys map[string]string // status by id
	used time.Time
	asks []string
	// answer, where it is set, answers an action in IAM's place; after the
	// effect where lost says so.
	answer map[string]http.HandlerFunc
	lost   bool
}

var parameters = map[string][]string{
	"ListAccessKeys":       {"UserName"},
	"GetAccessKeyLastUsed": {"AccessKeyId"},
	"UpdateAccessKey":      {"AccessKeyId", "Status", "UserName"},
	"DeleteAccessKey":      {"AccessKeyId", "UserName"},
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || r.URL.Path != "/" {
		s.t.Errorf("not a query: %s %s, %v", r.Method, r.URL, err)
	}
	action := r.PostForm.Get("Action")
	var given []string
	for k := range r.PostForm {
		if k != "Action" && k != "Version" {
			given = append(given, k)
		}
	}
	slices.Sort(given)
	if !slices.Equal(given, parameters[action]) || r.PostForm.Get("Version") != "2010-05-08" {
		s.t.Errorf("%s with %v", action, r.PostForm)
	}
	if a := r.Header.Get("Authorization"); !strings.HasPrefix(a, "AWS4-HMAC-SHA256 Credential=AKIADAEMON") || !strings.Contains(a, "/us-east-1/iam/aws4_request") || r.Header.Get("X-Amz-Date") == "" {
		s.t.Errorf("%s is not signed: %q", action, a)
	}
	s.asks = append(s.asks, action)
	instead := s.answer[action]
	if instead != nil && !s.lost {
		instead(w, r)
		return
	}
	body := s.do(action, r.PostForm.Get("AccessKeyId"), r.PostForm.Get("Status"))
	if instead != nil {
		instead(w, r)
		return
	}
	fmt.Fprintf(w, `<%[1]sResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">%[2]s<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></%[1]sResponse>`, action, body)
}

func (s *standIn) do(action, id, status string) string {
	switch action {
	case "ListAccessKeys":
		var members strings.Builder
		for i, id := range []string{leakedID, newID} {
			if st, ok := s.keys[id]; ok {
				fmt.Fprintf(&members, `<member><UserName>deploy</UserName><AccessKeyId>%s</AccessKeyId><Status>%s</Status><CreateDate>2026-0%d-01T00:00:00Z</CreateDate></member>`, id, st, i+1)
			}
		}
		return `<ListAccessKeysResult><IsTruncated>false</IsTruncated><AccessKeyMetadata>` + members.String() + `</AccessKeyMetadata></ListAccessKeysResult>`
	case "GetAccessKeyLastUsed":
		return `<GetAccessKeyLastUsedResult><UserName>deploy</UserName><AccessKeyLastUsed><Region>us-east-1</Region><ServiceName>s3</ServiceName><LastUsedDate>` + s.used.UTC().Format(time.RFC3339) + `</LastUsedDate></AccessKeyLastUsed></GetAccessKeyLastUsedResult>`
	case "UpdateAccessKey":
		s.keys[id] = status
	case "DeleteAccessKey":
		delete(s.keys, id)
	}
	return ""
}

// writes are the writes that were asked for.
func (s *standIn) writes() (got []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.asks {
		if a == "UpdateAccessKey" || a == "DeleteAccessKey" {
			got = append(got, a)
		}
	}
	return got
}

// cloud is a daemon before the stand-in.
type cloud struct {
	*company

	iam *standIn
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	s := &standIn{t: t, keys: map[string]string{leakedID: "Active", newID: "Active"}, used: now.Add(-2 * time.Hour), answer: map[string]http.HandlerFunc{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
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
	c.iam.keys[newID] = "Inactive"
	c.refused(revoke, "it is not rotated yet")
	c.iam.keys[newID] = "Active"
	c.iam.used = c.now.Add(-59 * time.Minute)
	c.refused(revoke, "still on the old one")
	c.iam.used = c.now.Add(-time.Hour)
	a := c.claim(revoke, "a1", 10)
	held := a
	held.Gate = func() error { return errors.New("the lease is gone") }
	c.fails(held, "the lease is gone")
	if got := c.iam.writes(); got != nil {
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
	if got := c.iam.writes(); fmt.Sprint(got) != "[UpdateAccessKey DeleteAccessKey]" {
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
			c.iam.answer["UpdateAccessKey"] = k.answer
			c.iam.lost = !k.failure // what leaves a doubt had its effect
			_, err := c.r.Start(t.Context(), a)
			c.hear(nil, err)
			var failure *signalbox.Failure
			if err == nil && name != "garbage" || errors.As(err, &failure) != k.failure {
				t.Fatalf("got %v", err)
			}
			if got := c.iam.writes(); len(got) != 1 {
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
	if !errors.As(err, &failure) || c.iam.writes() != nil {
		t.Errorf("got %v, sent %v", err, c.iam.writes())
	}
}
