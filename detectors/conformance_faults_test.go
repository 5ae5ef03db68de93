package detectors_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"
)

// fault is what a server does instead of answering well.
type fault struct {
	name string
	says string // a regular expression that each reason must match
	// most is how many requests one question may cost.
	most   int
	plain  bool // also a careless kind does not take it for health
	echoes bool // what is well holds the request, where people write what they like
	serve  func(w http.ResponseWriter, r *http.Request, well *httptest.ResponseRecorder)
}

// attempts are those of a fault that may pass.
const attempts = 3

// anyReason is for faults that each client words in its own way.
const anyReason = `.{8,}`

// faults are those that end by themselves.
func faults() []fault {
	var list []fault
	for _, more := range [][]fault{refusals(), limits(), foreign(), broken(), echoes()} {
		list = append(list, more...)
	}
	return list
}

// status answers with a status and a body that is of no use.
func status(code int, header ...string) func(http.ResponseWriter, *http.Request, *httptest.ResponseRecorder) {
	return func(w http.ResponseWriter, _ *http.Request, _ *httptest.ResponseRecorder) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprint(w, `{"status":"error","errorType":"x","error":"refused","errors":["refused"],"message":"refused"}`)
	}
}

// refusals don't pass by themselves, so they are not tried again, and faults of
// the server are, at most twice.
func refusals() []fault {
	list := []fault{
		{name: "401", says: "401|credential", most: 1, serve: status(401)},
		{name: "403", says: "403|credential", most: 1, serve: status(403)},
		{name: "400", says: anyReason, most: 1, serve: status(400)},
		{name: "404", says: "404", most: 1, serve: status(404)},
		{name: "404 in plain text", says: "404", most: 1, serve: text(404, "text/plain; charset=utf-8", "404 page not found\n")},
		{name: "410", says: "410", most: 1, serve: status(410)},
	}
	for _, code := range []int{500, 501, 502, 503, 504, 520} {
		list = append(list, fault{name: strconv.Itoa(code), says: strconv.Itoa(code), most: attempts, serve: status(code)})
	}
	return append(list, fault{name: "503 with Retry-After", says: "503", most: attempts, serve: status(503, "Retry-After", "60")})
}

// limits are the ways in which servers send us away.
func limits() []fault {
	list := []fault{{name: "429 without headers", serve: status(429)}}
	for name, header := range map[string][]string{
		"Retry-After in seconds": {"Retry-After", "60"},
		"Retry-After as a date":  {"Retry-After", time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)},
		"Retry-After of nothing": {"Retry-After", "soon"},
		"Retry-After for ever":   {"Retry-After", "99999999999999999999"},
		"Datadog's headers":      {"X-RateLimit-Limit", "10", "X-RateLimit-Period", "60", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "50"},
		"GitHub's headers":       {"X-RateLimit-Limit", "5000", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(time.Minute).Unix(), 10)},
		"headers that lie":       {"X-RateLimit-Limit", "-1", "X-RateLimit-Period", "0", "X-RateLimit-Remaining", "many", "X-RateLimit-Reset", "-7"},
	} {
		list = append(list, fault{name: "429 with " + name, serve: status(429, header...)})
	}
	list = append(list, fault{name: "429 of a proxy", serve: text(429, "text/html", "<html>slow down</html>")})
	for i := range list {
		list[i].says, list[i].most = "429", attempts
	}
	return list
}

func text(code int, contentType, body string) func(http.ResponseWriter, *http.Request, *httptest.ResponseRecorder) {
	return func(w http.ResponseWriter, _ *http.Request, _ *httptest.ResponseRecorder) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

// foreign are answers of something that stands between, or of another server.
func foreign() []fault {
	const page = "<!doctype html><html><body>Sign in</body></html>"
	list := []fault{
		{name: "HTML with 200", says: anyReason, most: 1, serve: text(200, "text/html; charset=utf-8", page)},
		{name: "HTML with 502", says: "502", most: attempts, serve: text(502, "text/html", page)},
		{name: "HTML that says it is JSON", says: anyReason, most: 1, serve: text(200, "application/json", page)},
		{name: "a redirect to nowhere", says: anyReason, most: 1, serve: text(302, "application/json", "{}")},
		{name: "304 that nobody asked for", says: anyReason, most: 1, plain: true, serve: func(w http.ResponseWriter, _ *http.Request, _ *httptest.ResponseRecorder) { w.WriteHeader(304) }},
		{name: "204", says: anyReason, most: attempts, plain: true, serve: func(w http.ResponseWriter, _ *http.Request, _ *httptest.ResponseRecorder) { w.WriteHeader(204) }},
	}
	for _, kind := range []string{"text/html", "image/png", "application/octet-stream", "text/xml; charset=utf-8"} {
		list = append(list, fault{name: "what is well, as " + kind, says: anyReason, most: 1, serve: func(w http.ResponseWriter, _ *http.Request, well *httptest.ResponseRecorder) {
			w.Header().Set("Content-Type", kind)
			w.Write(well.Body.Bytes())
		}})
	}
	for _, body := range []string{"", "null", "{}", "true", `"ok"`, "7", `{"data":null}`, `{"status":"success"}`} {
		list = append(list, fault{name: "a body of " + strconv.Quote(body), says: anyReason, most: 1, plain: true, serve: text(200, "application/json", body)})
	}
	return list
}

// whole writes a body that is well up to what change makes of it.
func whole(change func(body []byte) []byte) func(http.ResponseWriter, *http.Request, *httptest.ResponseRecorder) {
	return func(w http.ResponseWriter, _ *http.Request, well *httptest.ResponseRecorder) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(change(well.Body.Bytes()))
	}
}

// broken are answers that begin well.
func broken() []fault {
	return []fault{
		{name: "half of the JSON", says: anyReason, most: 1, plain: true, serve: whole(func(body []byte) []byte { return body[:len(body)/2] })},
		{name: "all but the last byte", says: anyReason, most: 1, plain: true, serve: whole(func(body []byte) []byte { return body[:len(body)-1] })},
		{name: "more behind the JSON", says: anyReason, most: 1, serve: whole(func(body []byte) []byte { return append(bytes.Clone(body), "<html>"...) })},
		{name: "the JSON twice", says: anyReason, most: 1, serve: whole(func(body []byte) []byte { return append(bytes.Clone(body), body...) })},
		{name: "truncated body", says: anyReason, most: attempts, serve: func(w http.ResponseWriter, _ *http.Request, well *httptest.ResponseRecorder) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", strconv.Itoa(well.Body.Len()+1))
			w.Write(well.Body.Bytes())
		}},
		{name: "cut off in a chunk", says: anyReason, most: attempts, serve: func(w http.ResponseWriter, _ *http.Request, well *httptest.ResponseRecorder) {
			w.Header().Set("Content-Type", "application/json")
			w.Write(well.Body.Bytes())
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}},
		{name: "no answer at all", says: anyReason, most: attempts, serve: func(http.ResponseWriter, *http.Request, *httptest.ResponseRecorder) { panic(http.ErrAbortHandler) }},
		{name: "endless body", says: anyReason, most: 1, serve: func(w http.ResponseWriter, r *http.Request, well *httptest.ResponseRecorder) {
			w.Header().Set("Content-Type", "application/json")
			w.Write(well.Body.Bytes())
			for block := bytes.Repeat([]byte(" "), 1<<20); r.Context().Err() == nil; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}},
		{name: "a bomb of gzip", says: anyReason, most: attempts, serve: func(w http.ResponseWriter, _ *http.Request, well *httptest.ResponseRecorder) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			z.Write(well.Body.Bytes())
			z.Close()
			w.Write(bomb())
		}},
		{name: "gzip that breaks off", says: anyReason, most: attempts, serve: func(w http.ResponseWriter, _ *http.Request, _ *httptest.ResponseRecorder) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			w.Write([]byte{0x1f, 0x8b, 8, 0, 0, 0})
		}},
	}
}

// bomb is 128 MiB of spaces, compressed.
var bomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	block := bytes.Repeat([]byte(" "), 1<<20)
	for range 128 {
		z.Write(block)
	}
	z.Close()
	return b.Bytes()
})

// dump is a request as a careless server shows it to whom it wants to help.
func dump(r *http.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s ", r.Method, r.URL)
	for name, values := range r.Header {
		fmt.Fprintf(&b, "%s: %s ", name, strings.Join(values, ", "))
	}
	return b.String()
}

// echoes are answers that repeat our credentials, in all places.
func echoes() []fault {
	var list []fault
	for _, code := range []int{200, 400, 401, 403, 404, 429, 500} {
		for _, as := range []string{"application/json", "text/plain", "text/html"} {
			if code == 429 && as != "application/json" {
				continue // some clients wait a second for each
			}
			list = append(list, fault{name: fmt.Sprintf("%d that echoes, as %s", code, as), says: anyReason, most: attempts, plain: code == 200 && as == "application/json", serve: echo(code, as)})
		}
	}
	for _, start := range []string{"", "HTTP/1.1 ", "HTTP/1.1 200 OK\r\nX", "HTTP/1.1 200 OK\r\nContent-Length: ", "HTTP/1.1 200 OK\r\nTransfer-Encoding: ", "HTTP/1.1 302 Found\r\nLocation: http://[", "HTTP/1.1 307 Found\r\nLocation: http://"} {
		list = append(list, fault{name: "an echo that is hardly HTTP: " + strconv.Quote(start), says: anyReason, most: attempts, plain: true, serve: raw(start)})
	}
	return list
}

func echo(code int, as string) func(http.ResponseWriter, *http.Request, *httptest.ResponseRecorder) {
	return func(w http.ResponseWriter, r *http.Request, _ *httptest.ResponseRecorder) {
		said := dump(r)
		for _, name := range []string{"X-Echo", "Retry-After", "X-RateLimit-Reset", "Www-Authenticate", "Warning", "ETag", "Date"} {
			w.Header().Set(name, said)
		}
		w.Header().Set("Content-Type", as)
		w.WriteHeader(code)
		body, _ := json.Marshal(map[string]any{
			"status": "error", "errorType": said, "error": said, "errors": []string{said}, "message": said, "title": said, "detail": said, said: said, "data": said, "workflow_runs": said, "page": said,
		})
		w.Write(body)
	}
}

// raw answers with bytes that are hardly HTTP, and hold the request.
func raw(start string) func(http.ResponseWriter, *http.Request, *httptest.ResponseRecorder) {
	return func(w http.ResponseWriter, r *http.Request, _ *httptest.ResponseRecorder) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "%s%s\r\n\r\n", start, dump(r))
	}
}

// hangs are faults that don't end by themselves.
func hangs() []fault {
	slow := func(w http.ResponseWriter, r *http.Request, body []byte, pause time.Duration) {
		w.Header().Set("Content-Type", "application/json")
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for i := 0; ; i++ {
			if i < len(body) {
				w.Write(body[i : i+1])
			} else {
				w.Write([]byte(" "))
			}
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
			}
		}
	}
	return []fault{
		{name: "no answer", serve: func(_ http.ResponseWriter, r *http.Request, _ *httptest.ResponseRecorder) { <-r.Context().Done() }},
		{name: "a body that stops", serve: func(w http.ResponseWriter, r *http.Request, well *httptest.ResponseRecorder) {
			w.Header().Set("Content-Type", "application/json")
			w.Write(well.Body.Bytes())
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}},
		{name: "a slow body", serve: func(w http.ResponseWriter, r *http.Request, well *httptest.ResponseRecorder) {
			slow(w, r, well.Body.Bytes(), time.Millisecond)
		}},
	}
}
