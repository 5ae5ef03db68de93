package setting

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
)

// What becomes of an answer.
const (
	refuses = "refused" // definite: nothing was or will be written
	fails   = "error"   // it can't be seen
	doubts  = "doubt"   // it may have been written
	took    = "receipt" // it was
)

// answer is one way in which a target, or a proxy before it, answers. Every
// body echoes the credentials that it got.
type answer struct {
	name        string
	serve       http.HandlerFunc
	read, write string
	after       time.Duration // of a *signalbox.RetryAfter
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprintf(w, "<html>%s</html>", r.Header.Get("Authorization"))
	}
}

func answers() []answer {
	list := []answer{
		{"429 with Retry-After", status(429, "Retry-After", "7"), fails, refuses, 7 * time.Second},
		{"429 with a date", status(429, "Retry-After", "Fri, 01 May 2026 12:00:00 GMT"), fails, refuses, 0},
		{"503 with Retry-After", status(503, "Retry-After", "3"), fails, doubts, 3 * time.Second},
		{"HTML in a 200", status(200, "Content-Type", "text/html"), fails, doubts, 0},
		{"JSON that is none", status(200, "Content-Type", "application/json"), fails, doubts, 0},
		{"cut off", cutOff, fails, doubts, 0},
		{"hung up", hungUp, fails, doubts, 0},
		{"without an end", endless, fails, doubts, 0},
	}
	for _, code := range []int{400, 401, 403, 404, 405, 410, 413, 415, 422, 428} {
		list = append(list, answer{name: fmt.Sprint(code), serve: status(code), read: refuses, write: refuses})
	}
	for _, code := range []int{202, 408, 500, 501, 502, 503, 504} {
		list = append(list, answer{name: fmt.Sprint(code), serve: status(code, "Content-Type", "text/html"), read: fails, write: doubts})
	}
	return list
}

func cutOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "1000")
	_, _ = w.Write([]byte(`{"value":"`))
}

func hungUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	spaces := []byte(strings.Repeat(" ", 1<<16))
	for r.Context().Err() == nil {
		if _, err := w.Write(spaces); err != nil {
			return
		}
	}
}

// expectedWrite is the table's answer for a face: a 2xx of a plain HTTP setting
// is taken at its word, whatever its body.
func (c answer) expectedWrite(face string) string {
	if face == backendHTTP && (c.name == "HTML in a 200" || c.name == "JSON that is none" || c.name == "cut off" || c.name == "without an end") {
		return took
	}
	return c.write
}

func TestAnswersToReads(t *testing.T) {
	faces(t, func(t *testing.T, face string) {
		for _, c := range answers() {
			t.Run(c.name, func(t *testing.T) {
				x, r := newTarget(t), newRemediator(t)
				a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
				x.on = func(w http.ResponseWriter, q *http.Request) bool { c.serve(w, q); return true }
				f, err := r.Preview(t.Context(), a.Step)
				if got := map[bool]string{true: refuses, false: fails}[err == nil && f.Refused != ""]; got != c.read {
					t.Errorf("preview: %s: %q, %v; want %s", got, f.Refused, err, c.read)
				}
				checkAfter(t, err, c.after)
				if c.name == "without an end" && !strings.Contains(fmt.Sprint(err), "longer than") {
					t.Errorf("preview: %v", err)
				}
				p, probed := r.Probe(t.Context(), a)
				if probed == nil && p.Phase != signalbox.InDoubt {
					t.Errorf("probe: %+v", p)
				}
				_, started := r.Start(t.Context(), a)
				if !isFailure(started) {
					t.Errorf("start, with nothing sent: %v", started)
				}
				noSecret(t, f.Refused, err, p.Reason, probed, started, r.Seal(t.Context(), a, 20))
			})
		}
	})
}

func TestAnswersToWrites(t *testing.T) {
	faces(t, func(t *testing.T, face string) {
		for _, c := range answers() {
			t.Run(c.name, func(t *testing.T) {
				x, r := newTarget(t), newRemediator(t)
				a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
				x.answerWrites(c.serve)
				_, err := r.Start(t.Context(), a)
				if got := outcome(err); got != c.expectedWrite(face) {
					t.Errorf("start: %s: %v; want %s", got, err, c.expectedWrite(face))
				}
				if err != nil {
					checkAfter(t, err, c.after)
				}
				noSecret(t, err)
				a.Stage = signalbox.Doubt // an earlier attempt may come through
				if _, err := r.Start(t.Context(), a); isFailure(err) {
					t.Errorf("in doubt, and not sealed: %v", err)
				}
			})
		}
	})
}

func outcome(err error) string {
	switch {
	case err == nil:
		return took
	case isFailure(err):
		return refuses
	}
	return doubts
}

// answerWrites lets serve answer to writes; reads go on.
func (x *target) answerWrites(serve http.HandlerFunc) {
	x.on = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch && r.Method != http.MethodPut {
			return false
		}
		serve(w, r)
		return true
	}
}

func checkAfter(t *testing.T, err error, want time.Duration) {
	t.Helper()
	var later *signalbox.RetryAfter
	if errors.As(err, &later); want > 0 && (later == nil || later.After != want) {
		t.Errorf("retry after %+v in %v, want %s", later, err, want)
	}
	if want == 0 && later != nil {
		t.Errorf("retry after %s, want none", later.After)
	}
}

func noSecret(t *testing.T, said ...any) {
	t.Helper()
	if text := fmt.Sprintf("%v %+v", said, said); strings.Contains(text, secret) {
		t.Errorf("shows the secret: %s", text)
	}
}

// TestLostAnswer: the write took effect and its answer was lost. It is in
// doubt, and the probe settles it.
func TestLostAnswer(t *testing.T) {
	faces(t, func(t *testing.T, face string) {
		x, r := newTarget(t), newRemediator(t)
		a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
		x.answerWrites(func(_ http.ResponseWriter, q *http.Request) {
			x.on = nil
			x.ServeHTTP(httptest.NewRecorder(), q)
			panic(http.ErrAbortHandler)
		})
		if _, err := r.Start(t.Context(), a); outcome(err) != doubts {
			t.Errorf("got %v, want doubt", err)
		}
		if p, err := r.Probe(t.Context(), a); err != nil || p.Phase != signalbox.Succeeded {
			t.Errorf("probe: %+v, %v", p, err)
		}
		if _, _, n := x.state(); n != 1 {
			t.Errorf("%d writes", n)
		}
	})
}

// TestSlow: the context's end is honoured, and after a send it leaves doubt.
func TestSlow(t *testing.T) {
	faces(t, func(t *testing.T, face string) {
		x, r := newTarget(t), newRemediator(t)
		a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
		release := make(chan struct{})
		defer close(release)
		ctx, cancel := context.WithCancel(t.Context())
		x.answerWrites(func(http.ResponseWriter, *http.Request) { cancel(); <-release })
		if _, err := r.Start(ctx, a); outcome(err) != doubts || !errors.Is(err, context.Canceled) {
			t.Errorf("write: %v", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		x.on = func(http.ResponseWriter, *http.Request) bool { cancel(); <-release; return true }
		if _, err := r.Preview(ctx, a.Step); !errors.Is(err, context.Canceled) {
			t.Errorf("read: %v", err)
		}
	})
}

// TestRedirect: neither a request nor its credentials follow one.
func TestRedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s followed the redirect with %q", r.Method, r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	faces(t, func(t *testing.T, face string) {
		for _, code := range []int{301, 302, 307, 308} {
			x, r := newTarget(t), newRemediator(t)
			a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
			redirect := func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, elsewhere.URL, code) }
			x.answerWrites(redirect)
			if _, err := r.Start(t.Context(), a); err == nil {
				t.Errorf("%d: no error", code)
			}
			x.on = func(w http.ResponseWriter, q *http.Request) bool { redirect(w, q); return true }
			if f, err := r.Preview(t.Context(), a.Step); err == nil && f.Refused == "" {
				t.Errorf("%d: %+v", code, f)
			}
		}
	})
}

// TestNobodyListens: no connection, so surely nothing was sent.
func TestNobodyListens(t *testing.T) {
	faces(t, func(t *testing.T, face string) {
		x, r := newTarget(t), newRemediator(t)
		a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
		x.on = func(w http.ResponseWriter, _ *http.Request) bool { w.Header().Set("Connection", "close"); return false }
		r.closeIdle() // so that the write needs a connection of its own
		a.Gate = func() error { x.close(); return nil }
		if _, err := r.Start(t.Context(), a); !isFailure(err) || !strings.Contains(err.Error(), "no connection could be made") {
			t.Errorf("start: %v", err)
		}
		if _, err := r.Preview(t.Context(), a.Step); err == nil {
			t.Error("preview: no error")
		}
	})
}

// TestConflicts: 409 and 412 are looked at again, a few times.
func TestConflicts(t *testing.T) {
	faces(t, func(t *testing.T, face string) {
		x, r := newTarget(t), newRemediator(t)
		a := claim(t, r, x.step(t, face, "replica-b"), "a1", 10)
		sent := 0
		x.answerWrites(func(w http.ResponseWriter, _ *http.Request) {
			sent++
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(map[string]int{backendConfigMap: 409, backendHTTP: 412}[face])
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Conflict","code":409}`)
		})
		if _, err := r.Start(t.Context(), a); !isFailure(err) || sent != 5 {
			t.Errorf("%v after %d", err, sent)
		}
	})
}

func TestObjectRefused(t *testing.T) {
	cases := []struct{ name, contentType, etag, body, want string }{
		{"weak ETag", "application/json", `W/"1"`, `{"value":"pg-a.data-plane:5432"}`, "no strong ETag"},
		{"no ETag", "application/json", "", `{"value":"pg-a.data-plane:5432"}`, "no strong ETag"},
		{"no field", "application/json", `"1"`, `{"Value":"x"}`, `has no field "value"`},
		{"a number", "application/json", `"1"`, `{"value":1}`, "must be a string"},
		{"null", "application/json", `"1"`, `{"value":null}`, "must be a string"},
		{"fence is a list", "application/json", `"1"`, `{"value":"pg-a.data-plane:5432","signalbox":[]}`, "not a fence of ours"},
		{"a list", "application/json", `"1"`, `[]`, "not one JSON object"},
		{"null object", "application/json", `"1"`, `null`, "not one JSON object"},
		{"two objects", "application/json", `"1"`, `{"value":"x"}{}`, "not one JSON object"},
		{"plain text", "text/plain", `"1"`, `{"value":"x"}`, "must be application/json"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			x, r := newTarget(t), newRemediator(t)
			x.on = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Content-Type", c.contentType)
				if c.etag != "" {
					w.Header().Set("ETag", c.etag)
				}
				fmt.Fprint(w, c.body)
				return true
			}
			f, err := r.Preview(t.Context(), x.step(t, backendHTTP, "replica-b"))
			if text := fmt.Sprint(f.Refused, err); !strings.Contains(text, c.want) || f.Undo != nil {
				t.Errorf("got %q, want %q", text, c.want)
			}
		})
	}
}

func TestConfigMapRefused(t *testing.T) {
	cases := []struct{ name, body, want string }{
		{"no key", `"data":{"OTHER":"x"}`, "has no key DB_READONLY_ENDPOINT under data: add it"},
		{"binary", `"binaryData":{"DB_READONLY_ENDPOINT":"eA=="}`, "holds binary data"},
		{"immutable", `"immutable":true,"data":{"DB_READONLY_ENDPOINT":"pg-a.data-plane:5432"}`, "is immutable"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			x, r := newTarget(t), newRemediator(t)
			x.on = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintf(w, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"core-env","namespace":"core","resourceVersion":"7"},%s}`, c.body)
				return true
			}
			f, err := r.Preview(t.Context(), x.step(t, backendConfigMap, "replica-b"))
			if err != nil || !strings.Contains(f.Refused, c.want) {
				t.Errorf("%q, %v; want %q", f.Refused, err, c.want)
			}
		})
	}
}

func FuzzObject(f *testing.F) {
	f.Add("application/json", []byte(`{"value":"x","signalbox":null,"n":1e400}`))
	f.Add("application/problem+json; charset=utf-8", []byte(`{}`))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		object, err := decodeObject(contentType, body)
		if err == nil && object == nil {
			t.Fatal("neither an object nor an error")
		}
		h := &httpSetting{spec: httpSpec{URL: "http://x/", Field: "value"}}
		st, err := h.state(object, `"1"`)
		if err != nil {
			return
		}
		again, err := h.body(st, change{value: &st.value, fence: fence.Fence{Token: 1}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeObject("application/json", again); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
	})
}
