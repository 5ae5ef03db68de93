package setting

import (
	"strings"
	"testing"
)

// TestByHandOfHTTP: the commands that a page tells
// quote what the configuration gave.
func TestByHandOfHTTP(t *testing.T) {
	h := &httpSetting{spec: httpSpec{URL: "https://settings.example/it's", Field: "value"}}
	want := `curl -fsS 'https://settings.example/it'\''s' | jq --arg f value --arg v 'a b' '.[$f] = $v' | ` +
		`curl -fsS -X PUT -H 'Content-Type: application/json' -H 'If-Match: *' --data-binary @- 'https://settings.example/it'\''s'`
	if got := h.byHand("a b"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := h.handBack(); !strings.Contains(got, "jq --arg f signalbox '.[$f] = null'") {
		t.Errorf("got %s", got)
	}
}

func TestByHandOfConfigMap(t *testing.T) {
	c := &configMap{spec: configMapSpec{Namespace: "core", Name: "core-env", Key: "DB_READONLY_ENDPOINT"}}
	want := `kubectl -n core patch configmap core-env --type merge -p '{"data":{"DB_READONLY_ENDPOINT":"pg-a:5432"}}'`
	if got := c.byHand("pg-a:5432"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	want = `kubectl -n core annotate configmap core-env signalbox.io/fence.DB_READONLY_ENDPOINT-`
	if got := c.handBack(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
