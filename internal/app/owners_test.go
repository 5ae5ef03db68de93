package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/internal/config"
)

// Who escalates is one of two, and never both nor neither: the pager by its
// escalation policy, or the daemon to somebody who is there.
func TestOneEscalates(t *testing.T) {
	const (
		rest   = "service: PWIXJZS, escalation_policy: PT20YPA, api_key_file: pd, from: sre@example.com"
		routed = "primary_key_file: pd"
		both   = "primary_key_file: pd, backup_key_file: pd2"
	)
	for name, c := range map[string]struct{ owner, want string }{
		"by the pager":                 {`{primary: "@a", escalation: pagerduty, pagerduty: {` + routed + `}}`, ""},
		"by the pager, over REST":      {`{primary: "@a", escalation: pagerduty, pagerduty: {` + rest + `}}`, ""},
		"by the daemon, to the backup": {`{primary: "@a", backup: "@b", escalation: daemon, pagerduty: {` + both + `}}`, ""},
		"by the daemon, to another":    {`{primary: "@a", escalation: daemon, last_resort: other, pagerduty: {` + routed + `}}`, ""},
		"it is not said":               {`{primary: "@a", pagerduty: {` + routed + `}}`, "escalation is required"},
		"both, by an escalation policy": {
			`{primary: "@a", escalation: daemon, last_resort: other, pagerduty: {` + rest + `}}`,
			"escalation must be pagerduty where an escalation policy is given: two must not escalate, got \"daemon\"",
		},
		"both, by a last resort": {
			`{primary: "@a", escalation: pagerduty, last_resort: other, pagerduty: {` + routed + `}}`,
			"last_resort must not be given where escalation is pagerduty: its escalation policy goes on to others, and two must not",
		},
		"both, by a time": {
			`{primary: "@a", escalation: pagerduty, acknowledge_within: 5m, pagerduty: {` + routed + `}}`,
			"acknowledge_within must not be given where escalation is pagerduty",
		},
		"neither, nobody is there": {
			`{primary: "@a", escalation: daemon, pagerduty: {` + routed + `}}`,
			"escalation must be pagerduty where there is neither a backup's key nor a last_resort: there is nobody to escalate to, got \"daemon\"",
		},
		"neither, the backup's key is not used": {
			`{primary: "@a", backup: "@b", escalation: pagerduty, pagerduty: {` + both + `}}`,
			"escalation must be daemon where the backup has a key of its own: else nobody would page it, got \"pagerduty\"",
		},
		"a backup without a name": {
			`{primary: "@a", escalation: daemon, pagerduty: {` + both + `}}`, "backup is required where the backup has a key: who is it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			text := "default_owner: other\nowners:\n  other: {primary: \"@o\", escalation: pagerduty, pagerduty: {primary_key_file: pd}}\n  one: " + c.owner + "\n" +
				"sources: {metrics: {kind: prometheus, url: \"http://127.0.0.1:9090\"}}\ndetectors:\n  - {name: lag, source: metrics, query: lag, breach: {above: 1}, subject: lag}\n"
			if err := os.WriteFile(filepath.Join(dir, "owners.yaml"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := config.Load(dir, Kinds(), config.Options{SecretsElsewhere: true})
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && err == nil:
				t.Errorf("it is taken, want: %s", c.want)
			case c.want != "" && (!strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "owners.yaml:4")):
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}
