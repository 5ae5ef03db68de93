package app

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/signalbox/signalbox/internal/config"
)

// The team's Ops Handbook, whole: it is accepted as it stands, its five domains
// have a primary and a backup that the daemon pages, and each of its run-books is
// a policy.
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
	var names []string
	for _, p := range cfg.Policy.Policies {
		names = append(names, p.Name)
	}
	for _, want := range []string{"deploy-drift", "rollback", "migration-anomaly", "database-outage", "redis-outage", "cdn-outage", "replay", "leak", "psp-degraded"} {
		if !slices.Contains(names, want) {
			t.Errorf("no policy %s, of %q", want, names)
		}
	}
}
