package grafana

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A contract that refuses nothing would prove nothing.
func TestAlertingHoldsToTheContract(t *testing.T) {
	dir := os.Getenv("SIGNALBOX_CONTRACTS")
	if dir == "" {
		dir = "../../../../shared/contracts"
	}
	spec := filepath.Join(dir, "alertmanager", "openapi.v2.json")
	if _, err := os.Stat(spec); err != nil {
		t.Skipf("SKIPPED: the contract is absent, set SIGNALBOX_CONTRACTS: %v", err)
	}
	for query, want := range map[string]string{
		"active=true&silenced=true&inhibited=true&receiver=a": "",
		"active=perhaps":   "perhaps",
		"unprocessed=true": "Grafana has no parameter unprocessed",
		"colour=red":       `there is no parameter "colour"`,
	} {
		a, err := NewAlerting(AlertingOptions{Spec: spec, Receiver: "a"})
		if err != nil {
			t.Fatal(err)
		}
		a.Set(&Alert{Rule: "r", Labels: map[string]string{"alertname": "Lag"}, StartsAt: time.Now()})
		r := httptest.NewRequest(http.MethodGet, alertsPath+"?"+query, nil)
		r.Header.Set("User-Agent", "test")
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		got := strings.Join(a.Violations(), "; ")
		if want == "" && (got != "" || !strings.Contains(w.Body.String(), `"__alert_rule_uid__":"r"`)) || want != "" && !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q: %s", query, got, want, w.Body)
		}
		if err := a.spec.response(r, []byte(`[{"labels":{"a":"b"}}]`)); want == "" && err == nil {
			t.Error("an alert without its times was accepted as an answer")
		}
	}
}
