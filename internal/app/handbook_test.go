package app

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/internal/config"
)

// The team's Ops Handbook, whole: it is accepted as it stands, its five domains
// have a primary and a backup that the daemon pages, what they acknowledge is heard,
// and each of its run-books is a policy.
func TestTheOpsHandbookIsAccepted(t *testing.T) {
	cfg, err := config.Load(filepath.Join(root, "deploy", "handbook"), Kinds(), config.Options{SecretsElsewhere: true})
	if err != nil {
		t.Fatal(err)
	}
	matrix := map[string][2]string{
		"devops": {"@sre-lead", "@sre-oncall"}, "backend": {"@be-lead", "@be-oncall"}, "frontend": {"@fe-lead", "@fe-oncall"},
		"payments": {"@payments-lead", "@payments-oncall"}, "support": {"@support-manager", "@support-lead"},
	}
	for _, o := range cfg.Owners {
		if want := matrix[o.Name]; o.Primary != want[0] || o.Backup != want[1] || o.BackupPage == nil || !o.Policy.Escalates {
			t.Errorf("%s is %s, then %s; want %q", o.Name, o.Primary, o.Backup, want)
		}
		delete(matrix, o.Name)
	}
	if len(matrix) > 0 {
		t.Errorf("nobody owns %v", matrix)
	}
	if !slices.ContainsFunc(cfg.Sources, func(s *config.Source) bool { return s.Kind.Name == "pagerduty" }) {
		t.Error("nothing hears what people acknowledge, so that each backup would be paged")
	}
	var names []string
	for _, p := range cfg.Policy.Policies {
		names = append(names, p.Name)
	}
	for _, want := range []string{"deploy-drift", "rollback", "migration-anomaly", "database-outage", "redis-outage", "cdn-outage", "replay", "leak", "psp-key-leak", "aws-key-leak", "psp-degraded", "deploy-failed"} {
		if !slices.Contains(names, want) {
			t.Errorf("no policy %s, of %q", want, names)
		}
	}
}

// A subject of which no reading could ever be made is refused, and so is a
// dependency on what no subject can be.
func TestWhatCouldNeverBeIsRefused(t *testing.T) {
	const text = `
default_owner: payments
owners:
  payments: {primary: "@payments-lead", escalation: pagerduty, pagerduty: {primary_key_env: PD}}
sources:
  psp-status: {kind: statuspage, url: "https://status.psp.example"}
detectors:
  - {name: psp, source: psp-status, SUBJECT}
depends_on:
  - {subject: "psp/*", on: ["ON"]}
`
	for name, c := range map[string]struct{ subject, on, want string }{
		"a component that is not named": {`subject: "psp/{{component}}"`, "db/eu", `subject must use only labels that its readings have (page, status), got psp/{{component}}`},
		"one that is named":             {`component: Webhooks, subject: "psp/{{component}}"`, "db/eu", ""},
		"a pattern to depend on":        {`subject: "psp/{{page}}"`, "db/*", `on "db/*": must be one subject, without *`},
	} {
		file := filepath.Join(t.TempDir(), "handbook.yaml")
		if err := os.WriteFile(file, []byte(strings.NewReplacer("SUBJECT", c.subject, "ON", c.on).Replace(text)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := config.Load(file, Kinds(), config.Options{SecretsElsewhere: true})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
