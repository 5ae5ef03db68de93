package webhook

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// outcome tells what Start's result says.
func outcome(r signalbox.Receipt, err error) string {
	var failure *signalbox.Failure
	switch {
	case err == nil && r.Final:
		return "done"
	case errors.As(err, &failure):
		return "failure"
	}
	return "doubt"
}

func TestStatuses(t *testing.T) {
	r := newRig(t)
	blind, known := r.step(t, nil), r.step(t, keyed)
	for code, want := range map[int][2]string{ // without a key, with one
		200: {"done", "done"}, 201: {"done", "done"}, 202: {"done", "done"}, 204: {"done", "done"},
		206: {"doubt", "doubt"}, 299: {"doubt", "doubt"},
		301: {"doubt", "doubt"}, 302: {"doubt", "doubt"}, 303: {"doubt", "doubt"}, 304: {"doubt", "doubt"},
		307: {"failure", "failure"}, 308: {"failure", "failure"},
		400: {"failure", "failure"}, 401: {"failure", "failure"}, 403: {"failure", "failure"}, 404: {"failure", "failure"}, 405: {"failure", "failure"},
		408: {"doubt", "doubt"}, 409: {"failure", "doubt"}, 410: {"failure", "failure"}, 412: {"failure", "failure"}, 413: {"failure", "failure"},
		422: {"failure", "failure"}, 425: {"failure", "doubt"}, 429: {"failure", "failure"},
		500: {"doubt", "doubt"}, 501: {"doubt", "doubt"}, 502: {"doubt", "doubt"}, 503: {"doubt", "doubt"}, 504: {"doubt", "doubt"},
	} {
		r.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", r.server.URL+"/elsewhere")
			w.Header().Set("Retry-After", "120")
			w.Header().Set("X-Echo", hidden)
			w.WriteHeader(code)
			if code != 204 && code != 304 {
				_, _ = w.Write([]byte(hidden))
			}
		}
		for i, s := range []signalbox.Step{blind, known} {
			receipt, err := r.Start(t.Context(), action(s, signalbox.Claimed))
			if got := outcome(receipt, err); got != want[i] {
				t.Errorf("%d, with a key %t: got %s (%v), want %s", code, i == 1, got, err, want[i])
			}
			if err != nil && (strings.Contains(err.Error(), hidden) || !strings.Contains(err.Error(), strconv.Itoa(code))) {
				t.Errorf("%d: %v", code, err)
			}
			var later *signalbox.RetryAfter
			if code == 429 && (!errors.As(err, &later) || later.After != 2*time.Minute) {
				t.Errorf("%d: %v does not say when to come back", code, err)
			}
		}
	}
	for _, q := range r.sent() {
		if q.path != "/hook" {
			t.Errorf("a redirect was followed to %s", q.path)
		}
	}
}

// hijacked answers with raw bytes and cuts the connection.
func hijacked(raw string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte(raw))
		conn.Close()
	}
}

// A request that had a connection may have been read: only one that had none is
// surely unsent. It is never sent a second time by the transport.
func TestLostAnswers(t *testing.T) {
	r := newRig(t)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"cut off before a status": {hijacked(""), "doubt"},
		"garbage":                 {hijacked("\x00\x01 no HTTP\r\n\r\n"), "doubt"},
		"cut off in the headers":  {hijacked("HTTP/1.1 200 OK\r\nContent-"), "doubt"},
		"cut off in the body":     {hijacked("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nabc"), "done"},
		"endless": {func(w http.ResponseWriter, req *http.Request) {
			for req.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, "done"},
	} {
		r.answer = c.answer
		before := len(r.sent())
		receipt, err := r.Start(t.Context(), action(r.step(t, nil), signalbox.Claimed))
		if got := outcome(receipt, err); got != c.want || len(r.sent()) != before+1 {
			t.Errorf("%s: got %s (%v) after %d requests, want %s", name, got, err, len(r.sent())-before, c.want)
		}
	}
	s := r.step(t, func(s *Settings) {
		gone := httptest.NewServer(http.NotFoundHandler())
		s.URL = gone.URL
		gone.Close()
	})
	if got := outcome(r.Start(t.Context(), action(s, signalbox.Claimed))); got != "failure" {
		t.Errorf("nobody listens: got %s", got)
	}
	s = r.step(t, func(s *Settings) { s.URL = strings.Replace(r.server.URL, "http:", "https:", 1) })
	if got := outcome(r.Start(t.Context(), action(s, signalbox.Claimed))); got != "failure" {
		t.Errorf("no TLS there: got %s", got)
	}
}

// An answer that never comes leaves a doubt when the time is over.
func TestHang(t *testing.T) {
	r := newRig(t)
	arrived := make(chan struct{})
	r.answer = func(_ http.ResponseWriter, req *http.Request) { close(arrived); <-req.Context().Done() }
	ctx, cancel := contextUntil(t, arrived)
	defer cancel()
	receipt, err := r.Start(ctx, action(r.step(t, nil), signalbox.Claimed))
	if got := outcome(receipt, err); got != "doubt" || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("got %s: %v", got, err)
	}
}

// The address of url_file is a secret as a whole, but for its host.
func TestAddressOfAFileIsNotTold(t *testing.T) {
	r := newRig(t)
	r.file(t, "address", r.server.URL+"/"+hidden+"?k="+hidden)
	s := r.step(t, func(s *Settings) { s.URL, s.URLFile = "", "address" })
	f, err := r.Preview(t.Context(), s)
	told := []any{f, err, string(s.Spec)}
	for _, answer := range []http.HandlerFunc{status(200), status(404), status(500), status(302), hijacked("")} {
		r.answer = answer
		receipt, err := r.Start(t.Context(), action(s, signalbox.Claimed))
		told = append(told, receipt, err)
	}
	for _, x := range told {
		if text := sprint(x); strings.Contains(text, hidden) {
			t.Errorf("told: %s", text)
		}
	}
	if log := r.sent(); len(log) != 5 || log[0].path != "/"+hidden+"?k="+hidden || f.Targets[0] != "webhook lock" {
		t.Errorf("got %+v, %v", log, f.Targets)
	}
}
