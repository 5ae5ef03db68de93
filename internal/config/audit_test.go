package config

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/internal/kind"
)

// testLoki takes lines, as the real kind does.
type testLoki struct {
	URL    string `yaml:"url" jsonschema:"required"`
	Tenant string `yaml:"tenant,omitempty"`
}

func (s *testLoki) Validate(fail kind.Fail) { testURL(fail, s.URL) }

func (s *testLoki) Pushing() (kind.Pushing, string, error) {
	if strings.Contains(s.Tenant, "|") {
		return kind.Pushing{}, "tenant", errors.New("must be a single tenant")
	}
	return kind.Pushing{URL: s.URL, Tenant: s.Tenant}, "", nil
}

// smallAudit is a small configuration with an audit trail.
func smallAudit(t *testing.T, audit string) string {
	return write(t, map[string]string{
		"small.yaml": read1(t, "testdata/good/small.yaml"),
		"audit.yaml": "sources: {logs: {kind: loki, url: \"http://127.0.0.1:3100\"}}\naudit: " + audit + "\n",
	})
}

func TestAuditDefaults(t *testing.T) {
	a := mustLoad(t, smallAudit(t, "{source: logs}")).Audit
	if a == nil || a.Source != "logs" || a.Queue != 10_000 || !reflect.DeepEqual(a.Labels, map[string]string{"job": "signalbox"}) || a.Place.Line == 0 {
		t.Errorf("got %+v", a)
	}
	if mustLoad(t, "testdata/good/small.yaml").Audit != nil {
		t.Error("an audit trail that nobody asked for")
	}
}

func TestAuditAsGiven(t *testing.T) {
	a := mustLoad(t, smallAudit(t, "{source: logs, labels: {job: signalbox, env: prod}, queue: 5}")).Audit
	if a.Queue != 5 || !reflect.DeepEqual(a.Labels, map[string]string{"job": "signalbox", "env": "prod"}) {
		t.Errorf("got %+v", a)
	}
}
