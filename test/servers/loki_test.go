package servers_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers"
)

// read returns what a tenant ("": none) finds of a selector in the last hour.
func read(t *testing.T, base, tenant, selector string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/loki/api/v1/query_range?query="+url.QueryEscape(selector), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if tenant != "" {
		r.Header.Set("X-Scope-OrgID", tenant)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// What was pushed is in the answers at once, of its tenant only, and outlives a
// kill.
func TestLoki(t *testing.T) {
	t.Parallel()
	l := servers.Loki(t, servers.LokiOptions{Tenants: true})
	l.Push("a", map[string]string{"app": "psp"}, servers.Line{At: time.Now(), Text: "a line"})
	for range 2 {
		if got := read(t, l.URL, "a", `{app="psp"}`); !strings.Contains(got, "a line") {
			t.Errorf("its tenant: %s", got)
		}
		if got := read(t, l.URL, "b", `{app="psp"}`); strings.Contains(got, "a line") {
			t.Errorf("another: %s", got)
		}
		if got := read(t, l.URL, "", `{app="psp"}`); !strings.Contains(got, "no org id") {
			t.Errorf("none: %s", got)
		}
		l.Kill()
		l.Restart()
	}
}
