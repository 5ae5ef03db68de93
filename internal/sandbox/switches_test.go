package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func testSwitches(t *testing.T) (s *switches, url string) {
	t.Helper()
	s = newSwitches("life", func(string, setting, setting) {})
	mux := http.NewServeMux()
	s.routes(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return s, server.URL + "/switches/"
}

// do sends a request; header is "Name: value" lines.
func do(t *testing.T, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, strings.TrimSpace(string(answer))
}

func TestSwitchesCompareAndSet(t *testing.T) {
	_, url := testSwitches(t)
	const put = `{"value":"pg-b.data-plane:5432","signalbox":{"token":7,"action":"a1","later":[1, 2]}}`
	resp, body := do(t, http.MethodGet, url+switchReads, "")
	first := resp.Header.Get("ETag")
	if resp.StatusCode != 200 || body != `{"value":"pg-a.data-plane:5432","signalbox":null}` || !strings.HasPrefix(first, `"`) {
		t.Fatalf("get: %d %s, ETag %s", resp.StatusCode, body, first)
	}
	for _, c := range []struct {
		what, name, body string
		header           []string
		code             int
	}{
		{"no condition", switchReads, put, nil, 428},
		{"another version", switchReads, put, []string{`If-Match: "life-1"`}, 412},
		{"another life", switchReads, put, []string{`If-Match: "old-0"`}, 412},
		{"a weak tag", switchReads, put, []string{"If-Match: W/" + first}, 412},
		{"no switch", "kill", put, []string{"If-Match: *"}, 404},
		{"no object", switchReads, `"x"`, []string{"If-Match: " + first}, 400},
		{"too large", switchReads, `{"value":"` + strings.Repeat("x", maxSetting) + `"}`, []string{"If-Match: " + first}, 413},
		{"the version", switchReads, put, []string{"If-Match: " + first}, 200},
		{"the version again", switchReads, put, []string{"If-Match: " + first}, 412},
		{"one of several", switchReads, put, []string{`If-Match: "x", "life-1"`}, 200},
		{"any", switchReads, put, []string{"If-Match: *"}, 200},
	} {
		if resp, body := do(t, http.MethodPut, url+c.name, c.body, c.header...); resp.StatusCode != c.code {
			t.Errorf("put with %s: %d %s, want %d", c.what, resp.StatusCode, body, c.code)
		}
	}
	resp, body = do(t, http.MethodGet, url+switchReads, "")
	var got, want setting
	if json.Unmarshal([]byte(body), &got) != nil || json.Unmarshal([]byte(put), &want) != nil {
		t.Fatalf("get: %s", body)
	}
	if got.Value != want.Value || string(got.Fence) != `{"token":7,"action":"a1","later":[1,2]}` {
		t.Errorf("get after put: %s", body)
	}
	if resp.Header.Get("ETag") != `"life-3"` {
		t.Errorf("after three writes the ETag is %s", resp.Header.Get("ETag"))
	}
}

func TestPutAnswersTheVersionThatItWrote(t *testing.T) {
	_, url := testSwitches(t)
	wrote, _ := do(t, http.MethodPut, url+switchCDN, `{"value":"backup.cdn.example"}`, "If-Match: *")
	read, body := do(t, http.MethodGet, url+switchCDN, "")
	if wrote.Header.Get("ETag") == "" || wrote.Header.Get("ETag") != read.Header.Get("ETag") {
		t.Errorf("put answered %s, get %s", wrote.Header.Get("ETag"), read.Header.Get("ETag"))
	}
	if body != `{"value":"backup.cdn.example","signalbox":null}` {
		t.Errorf("without a fence the place for it must stay: %s", body)
	}
}

func TestOneOfManyWritersWins(t *testing.T) {
	s, url := testSwitches(t)
	var changes atomic.Int64
	s.changed = func(string, setting, setting) { changes.Add(1) }
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			resp, _ := do(t, http.MethodPut, url+switchReads, fmt.Sprintf(`{"value":"v%d"}`, i), `If-Match: "life-0"`)
			if resp.StatusCode == http.StatusOK {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || changes.Load() != 1 {
		t.Errorf("%d writers won and %d changes were told, want 1", won.Load(), changes.Load())
	}
}

func TestDecodeSettingRefuses(t *testing.T) {
	for body, rule := range map[string]string{
		``:                             "must be a JSON object",
		`null`:                         "must be a string that is not empty",
		`[]`:                           "must be a JSON object",
		`{"value":""}`:                 "not empty",
		`{"value":1}`:                  "must be a JSON object",
		`{"value":"x","other":1}`:      `unknown field "other"`,
		`{"value":"x"}{}`:              "more follows",
		`{"value":"x","signalbox":[]}`: "object or null",
		`{"value":"x\u001b[2J"}`:       "printable",
		`{"value":"` + strings.Repeat("x", 254) + `"}`: "at most 253",
		"{\"value\":\"\xff\"}":                         "UTF-8",
	} {
		if _, err := decodeSetting([]byte(body)); err == nil || !strings.Contains(err.Error(), rule) {
			t.Errorf("%.40s: %v, want %q", body, err, rule)
		}
	}
}

func FuzzDecodeSetting(f *testing.F) {
	f.Add([]byte(`{"value":"pg-b.data-plane:5432","signalbox":{"token":7,"action":"a1"}}`))
	f.Add([]byte(`{"value":"x","signalbox":null}`))
	f.Add([]byte(`{"value":"x", "signalbox": {"a":"\u2028<"} }`))
	f.Add([]byte(`{"value":"\ud800"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := decodeSetting(body)
		if err != nil {
			return
		}
		if s.Value == "" || plain(s.Value) != s.Value {
			t.Fatalf("value %q was let in", s.Value)
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatalf("%s can't be served: %v", body, err)
		}
		back, err := decodeSetting(again)
		if err != nil || back.Value != s.Value {
			t.Fatalf("%s is served as %s, and read back as %+v: %v", body, again, back, err)
		}
		wrote(switchReads, setting{endpointA, json.RawMessage("null")}, s)
	})
}
