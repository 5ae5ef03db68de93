package acceptance

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// silent looks for values, as they are and in base64, in all that was said and
// kept: the log, every file below the data directory, pages, Slack, the desks,
// metrics, and what people are shown.
func (l *leak) silent(values ...string) {
	l.t.Helper()
	said := map[string]string{"the log": l.log.String()}
	said["the metrics"], _ = l.metrics()
	for _, path := range []string{"/api/v1/status", "/api/v1/approvals", "/api/v1/policies"} {
		var body json.RawMessage
		l.ask(path, &body)
		said[path] = string(body)
	}
	for _, inc := range l.pager.Incidents() {
		for _, e := range inc.Events {
			said["a page"] += string(e.Raw)
		}
	}
	for _, m := range l.slack.Messages() {
		said["Slack"] += fmt.Sprintf("%+v", m)
	}
	for _, r := range l.desk.requests() {
		said["the desks"] += fmt.Sprintf("%+v", r)
	}
	err := filepath.WalkDir(l.data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		said[path] = string(text)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		l.t.Fatal(err)
	}
	for _, v := range values {
		for where, text := range said {
			if leakFound(text, v) {
				l.t.Errorf("%s holds a value that no one may see", where)
			}
		}
	}
}

// leakFound reports that a text holds a value, whole, its end, or in base64.
func leakFound(text, value string) bool {
	return strings.Contains(text, value) || strings.Contains(text, value[len(value)-20:]) ||
		strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(value))[:24])
}

// The search finds what is there.
func TestLeakWouldBeFound(t *testing.T) {
	t.Parallel()
	const value = "psp_live_0123456789abcdefghijklmn"
	for _, text := range []string{"x" + value + "x", "…" + value[12:], base64.StdEncoding.EncodeToString([]byte(value))} {
		if !leakFound(text, value) {
			t.Errorf("not found in %q", text)
		}
	}
	if leakFound("psp_live_another-one-altogether-000", value) {
		t.Error("found where it is not")
	}
}
