package slack

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	signalbox "github.com/signalbox/signalbox"
)

// What Slack answers to a write says that nothing was written, or leaves it
// open; when to come back is kept, and the token is not told.
func TestDefinite(t *testing.T) {
	const token = "xoxb-not-a-real-token"
	status, body, header := 200, "", ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token || r.UserAgent() != "signalbox" {
			t.Errorf("got %v", r.Header)
		}
		if header != "" {
			w.Header().Set("Retry-After", header)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	defer srv.Close()
	for _, c := range []struct {
		status             int
		body, after        string
		definite, hopeless bool
		wait               float64 // seconds
	}{
		{200, `{"ok":false,"error":"channel_not_found"}`, "", true, false, 0},
		{200, `{"ok":false,"error":"no_text"}`, "", true, true, 0},
		{200, `{"ok":false,"error":"ratelimited"}`, "7", true, false, 7},
		{429, ``, "", true, false, 5},
		{429, ``, "4000000000", true, false, 300},
		{400, `{"ok":false,"error":"x ` + token + `"}`, "", true, false, 0},
		{200, `{"ok":false,"error":"internal_error"}`, "", false, false, 0},
		{200, `{"ok":false}`, "", false, false, 0},
		{200, `<html>`, "", false, false, 0},
		{408, `{"ok":false,"error":"x"}`, "", false, false, 0},
		{500, `{"ok":false,"error":"no_text"}`, "", false, true, 0},
		{503, ``, "7", false, false, 7},
		{500, `{"ok":true}`, "", false, false, 0},
	} {
		status, body, header = c.status, c.body, c.after
		err := New("").Do(t.Context(), API{URL: srv.URL, Token: token}, "chat.postMessage", url.Values{}, nil)
		after, _ := errors.AsType[*signalbox.RetryAfter](err)
		if err == nil || Definite(err) != c.definite || Hopeless(err) != c.hopeless || (c.wait > 0) != (after != nil) || strings.Contains(err.Error(), token) {
			t.Errorf("%d %s: got %v, definite %v, hopeless %v", c.status, c.body, err, Definite(err), Hopeless(err))
		} else if c.wait > 0 && after.After.Seconds() != c.wait {
			t.Errorf("%d: got %s, want %g s", c.status, after.After, c.wait)
		}
	}
	srv.Close()
	err := New("").Do(t.Context(), API{URL: srv.URL, Token: token}, "chat.postMessage", url.Values{}, nil)
	if !Definite(err) || Why(err) != "" {
		t.Errorf("no connection: got %v", err)
	}
}
