package slack

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func spec(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("SIGNALBOX_CONTRACTS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "contracts")
	}
	path := filepath.Join(dir, "slack", "slack.trim.json")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED: the vendors' contracts are not there; say where in SIGNALBOX_CONTRACTS: %v", err)
	}
	return path
}

func TestContract(t *testing.T) {
	s, err := New(Options{Token: "t", Channels: []string{"C024BE91L"}, Spec: spec(t)})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	defer srv.Close()
	post := func(token string, form url.Values) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/api/chat.postMessage", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	good := url.Values{"channel": {"C024BE91L"}, "text": {"x"}, "blocks": {"[]"}}
	if got := post("t", good); !strings.Contains(got, `"ok":true`) || len(s.Violations()) != 0 || len(s.Messages()) != 1 {
		t.Errorf("got %s, %q", got, s.Violations())
	}
	for want, form := range map[string]url.Values{
		"channel_not_found": {"channel": {"C024BE91M"}, "text": {"x"}},
		"invalid_form_data": {"channel": {"C024BE91L"}, "text": {"x"}, "blocks": {"{"}},
	} {
		if got := post("t", form); !strings.Contains(got, want) || len(s.Violations()) != 0 {
			t.Errorf("got %s, want %s, %q", got, want, s.Violations())
		}
	}
	if got := post("u", good); !strings.Contains(got, "invalid_auth") {
		t.Errorf("got %s", got)
	}
	post("t", url.Values{"text": {"x"}})
	if !slices.ContainsFunc(s.Violations(), func(v string) bool { return strings.HasPrefix(v, "contract: ") && strings.Contains(v, "channel") }) {
		t.Errorf("the contract refused nothing: %q", s.Violations())
	}
}
