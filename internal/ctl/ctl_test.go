package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/store"
)

// asked is one request that the tool made.
type asked struct {
	method, path, contentType, authorization string
	body                                     string
}

// fake is a daemon that answers every request the same.
type fake struct {
	*httptest.Server
	asked []asked
}

func newFake(t *testing.T, status int, body string) *fake {
	t.Helper()
	f := &fake{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		f.asked = append(f.asked, asked{r.Method, r.URL.EscapedPath(), r.Header.Get("Content-Type"), r.Header.Get("Authorization"), string(b)})
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(f.Close)
	return f
}

// run runs the tool and returns what it wrote and its exit code.
func run(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	code = Run(t.Context(), args, Options{Out: &o, Err: &e, Server: "http://127.0.0.1:1", Check: func(path string, _ bool) (string, error) {
		if path == "wrong" {
			return "", errors.New("wrong:1: rule one\nwrong:2: rule two")
		}
		return path + ": 1 source", nil
	}, Restore: func(_, _ string, c Cluster, _ time.Time) (store.Restored, error) {
		if c.Members != "" {
			return store.Restored{Keys: 3, Cluster: c.Name + "/" + c.Member}, nil
		}
		return store.Restored{}, errors.New("not restored")
	}, Copy: func(_ context.Context, data, _ string, to io.Writer) error {
		_, err := io.WriteString(to, aSnapshot()[:map[string]int{"whole": 1024 + 32, "short": 1024}[data]])
		return err
	}})
	return o.String(), e.String(), code
}

func TestExitCodes(t *testing.T) {
	good := newFake(t, http.StatusOK, `{}`)
	down := newFake(t, http.StatusServiceUnavailable, `{"error":"the store is not available"}`)
	odd := newFake(t, http.StatusOK, `<html>`)
	proxy := newFake(t, http.StatusBadGateway, `<html>bad gateway</html>`)
	for _, c := range []struct {
		args []string
		code int
		says string // on standard error
	}{
		{[]string{"-h"}, OK, "usage"},
		{[]string{"--server", good.URL, "pause", "-h"}, OK, "how long"},
		{nil, Usage, "usage"},
		{[]string{"--none"}, Usage, "none"},
		{[]string{"explode"}, Usage, `no command "explode"`},
		{[]string{"-o", "xml", "status"}, Usage, "table or json"},
		{[]string{"--http.config.file", "missing.yml", "status"}, Usage, "missing.yml"},
		{[]string{"--server", "::", "status"}, Usage, "URL"},
		{[]string{"--server", "127.0.0.1:9440", "status"}, Usage, "URL"},
		{[]string{"status", "x"}, Usage, "no arguments"},
		{[]string{"ready", "x"}, Usage, "no arguments"},
		{[]string{"reload", "x"}, Usage, "no arguments"},
		{[]string{"explain"}, Usage, "one argument"},
		{[]string{"pause"}, Usage, "one argument"},
		{[]string{"pause", "all", "--for", "1h"}, Usage, "needs --reason"},
		{[]string{"take", "all"}, Usage, "needs --reason"},
		{[]string{"deny", "x"}, Usage, "needs --reason"},
		{[]string{"approve"}, Usage, "one argument"},
		{[]string{"approve", "--reason"}, Usage, "reason"},
		{[]string{"approvals", "x"}, Usage, "no arguments"},
		{[]string{"policies", "x", "y"}, Usage, "one name"},
		{[]string{"eta", "0123"}, Usage, "two arguments"},
		{[]string{"settle", "0123-1", "maybe", "--reason", "x"}, Usage, `done or not-done, got "maybe"`},
		{[]string{"settle", "0123-1", "done"}, Usage, "needs --reason"},
		{[]string{"eta", "0123", "soon"}, Usage, "45m"},
		{[]string{"eta", "0123", "-5m"}, Usage, "5m"},
		{[]string{"explain", "0123#0"}, Usage, "INCIDENT#N"},
		{[]string{"explain", "--why-not", "p", "0123#1"}, Usage, "about now"},
		{[]string{"--token-file", "missing", "status"}, Usage, "missing"},
		{[]string{"pause", "--for", "30", "all"}, Usage, "for"},
		{[]string{"resume", "--for", "1h", "all"}, Usage, "for"},
		{[]string{"kill", "all"}, Usage, "no argument"},
		{[]string{"check"}, Usage, "one path"},
		{[]string{"check", "wrong"}, Usage, "rule one\nwrong:2: rule two"},
		{[]string{"check", "right"}, OK, ""},
		{[]string{"status"}, Unreachable, "refused"},
		{[]string{"ready"}, Unreachable, "refused"},
		{[]string{"--server", down.URL, "status"}, Refused, "the store is not available"},
		{[]string{"--server", down.URL, "ready"}, Refused, "the store is not available"},
		{[]string{"--server", down.URL, "kill"}, Refused, "the store is not available"},
		{[]string{"--server", proxy.URL, "ready"}, Refused, "502"},
		{[]string{"--server", proxy.URL, "status"}, Refused, "GET /api/v1/status answered 502"},
		{[]string{"--server", odd.URL, "status"}, Refused, "can't be read"},
		{[]string{"--server", good.URL, "status"}, OK, ""},
		{[]string{"--server", good.URL + "/", "ready"}, OK, ""},
		{[]string{"--server", good.URL, "reload"}, OK, ""},
	} {
		_, errs, code := run(t, c.args...)
		if code != c.code || !strings.Contains(errs, c.says) || c.says == "" && errs != "" {
			t.Errorf("%q: got exit code %d and %q, want %d and %q", c.args, code, errs, c.code, c.says)
		}
	}
}

// A status that can be had is no failure, whatever it says; readiness is.
func TestReadyIsNotStatus(t *testing.T) {
	st := newFake(t, http.StatusOK, `{"leading":false}`)
	if out, _, code := run(t, "--server", st.URL, "status"); code != OK || !strings.Contains(out, "does NOT lead") {
		t.Errorf("status of a daemon without a store: got %d %q", code, out)
	}
	not := newFake(t, http.StatusServiceUnavailable, "not ready: no store\n")
	out, errs, code := run(t, "--server", not.URL, "ready")
	if code != Refused || out != "" || !strings.Contains(errs, "503") {
		t.Errorf("ready: got %d %q %q, want 1", code, out, errs)
	}
	yes := newFake(t, http.StatusOK, "signalbox is ready\n")
	if out, _, code := run(t, "--server", yes.URL, "ready"); code != OK || out != "ready\n" {
		t.Errorf("ready: got %d %q", code, out)
	}
	if out, _, code := run(t, "--server", yes.URL, "-o", "json", "ready"); code != OK || !json.Valid([]byte(out)) {
		t.Errorf("ready in JSON: got %d %q", code, out)
	}
	if yes.asked[0] != (asked{method: http.MethodGet, path: "/-/ready"}) {
		t.Errorf("asked %+v", yes.asked[0])
	}
}

// Each command asks what it says it does.
func TestCommandsAsk(t *testing.T) {
	const path = "/api/v1/control"
	for _, c := range []struct {
		args []string
		want asked
	}{
		{[]string{"pause", "--for", "30m", "--reason", "deploy", "owner/backend"}, asked{method: "POST", path: path, body: `{"kind":"pause","scope":"owner/backend","for":"30m0s","reason":"deploy"}`}},
		{[]string{"pause", "all", "--reason", "x"}, asked{method: "POST", path: path, body: `{"kind":"pause","scope":"all","reason":"x"}`}},
		{[]string{"take", "incident/0123", "--for", "1h", "--reason", "mine"}, asked{method: "POST", path: path, body: `{"kind":"take","scope":"incident/0123","for":"1h0m0s","reason":"mine"}`}},
		{[]string{"release", "incident/0123"}, asked{method: "POST", path: path, body: `{"kind":"release","scope":"incident/0123","reason":""}`}},
		{[]string{"restore", "p"}, asked{method: "POST", path: path, body: `{"kind":"restore","scope":"policy/p","reason":""}`}},
		{[]string{"settle", "0123-1", "not-done", "--reason", "no such Job"}, asked{method: "POST", path: path, body: `{"kind":"not-done","scope":"action/0123-1","reason":"no such Job"}`}},
		{[]string{"eta", "0123", "45m", "--reason", "restore"}, asked{method: "POST", path: path, body: `{"kind":"eta","scope":"incident/0123","for":"45m0s","reason":"restore"}`}},
		{[]string{"approve", "ab/cd"}, asked{method: "POST", path: "/api/v1/approvals/ab%2Fcd", body: `{"answer":"approve"}`}},
		{[]string{"deny", "abcd", "--reason", "no"}, asked{method: "POST", path: "/api/v1/approvals/abcd", body: `{"answer":"deny","reason":"no"}`}},
		{[]string{"explain", "--why-not", "p", "0123"}, asked{method: "GET", path: "/api/v1/whynot"}},
		{[]string{"resume", "all"}, asked{method: "POST", path: path, body: `{"kind":"resume","scope":"all","reason":""}`}},
		{[]string{"kill", "--reason", "looking"}, asked{method: "POST", path: path, body: `{"kind":"kill","scope":"all","reason":"looking"}`}},
		{[]string{"release", "configmap core/core-env KEY"}, asked{method: "POST", path: path, body: `{"kind":"release","scope":"target/configmap core/core-env KEY","reason":""}`}},
		{[]string{"release", "target/x"}, asked{method: "POST", path: path, body: `{"kind":"release","scope":"target/x","reason":""}`}},
		{[]string{"undo", "0123"}, asked{method: "POST", path: path, body: `{"kind":"undo","scope":"incident/0123","reason":""}`}},
		{[]string{"acknowledge", "0123"}, asked{method: "POST", path: path, body: `{"kind":"acknowledge","scope":"incident/0123","reason":""}`}},
		{[]string{"status"}, asked{method: "GET", path: "/api/v1/status"}},
		{[]string{"explain", "../../-/reload?x"}, asked{method: "GET", path: "/api/v1/incidents/..%2F..%2F-%2Freload%3Fx"}},
		{[]string{"reload"}, asked{method: "POST", path: "/-/reload"}},
	} {
		f := newFake(t, http.StatusOK, `{}`)
		if _, errs, code := run(t, append([]string{"--server", f.URL}, c.args...)...); code != OK {
			t.Errorf("%q: exit code %d: %s", c.args, code, errs)
		}
		if c.want.body != "" {
			c.want.contentType = "application/json"
		}
		if len(f.asked) != 1 || f.asked[0] != c.want {
			t.Errorf("%q: asked\n%+v, want\n%+v", c.args, f.asked, c.want)
		}
	}
}

// The credential comes from a file, as for Prometheus' own tools, and is in no
// message.
func TestAuthenticates(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "http.yml")
	if err := os.WriteFile(file, []byte("basic_auth: {username: ops, password: much-too-secret}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := newFake(t, http.StatusUnauthorized, "")
	_, errs, code := run(t, "--server", f.URL, "--http.config.file", file, "status")
	if code != Refused || f.asked[0].authorization != "Basic b3BzOm11Y2gtdG9vLXNlY3JldA==" || strings.Contains(errs, "much-too-secret") {
		t.Errorf("got %d %q with %+v", code, errs, f.asked)
	}
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("a-token-0123456789\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "--server", f.URL, "--token-file", token, "status")
	if got := f.asked[len(f.asked)-1].authorization; got != "Bearer a-token-0123456789" {
		t.Errorf("with a token: sent %q", got)
	}
	if _, errs, code := run(t, "--http.config.file", file, "--token-file", token, "status"); code != Usage || !strings.Contains(errs, "both") {
		t.Errorf("two credentials: got %d %q", code, errs)
	}
	if err := os.WriteFile(file, []byte("basic_auth: {username: ops, password: much-too-secret, x: y}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := run(t, "--http.config.file", file, "status"); code != Usage || strings.Contains(errs, "much-too-secret") {
		t.Errorf("a wrong file: got %d %q", code, errs)
	}
}
