package acceptance

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// secrets are what no story may leave anywhere but in its own file, beside those
// that it gives the daemon itself.
var secrets = []string{devopsKey, backendKey, webhookKey}

// secretsAreKept looks, after each story, for secrets in the daemon's log and in
// every file below its data directory: the store's own, the journal's archive.
func (b *box) secretsAreKept() {
	b.t.Helper()
	all := append(slices.Clone(secrets), b.kept...)
	if b.log != nil && holdsSecret([]byte(b.log.String()), all) {
		b.t.Error("the log holds a secret")
	}
	for _, path := range filesWithSecrets(b.t, b.data, all) {
		b.t.Errorf("a secret stands in %s", path)
	}
}

func holdsSecret(text []byte, secrets []string) bool {
	for _, s := range secrets {
		if bytes.Contains(text, []byte(s)) {
			return true
		}
	}
	return false
}

func filesWithSecrets(t *testing.T, dir string, secrets []string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && holdsSecret(text, secrets) {
			found = append(found, path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Logf("not all of the data directory could be looked through: %v", err)
	}
	return found
}

// The search for secrets finds one that is there.
func TestSecretsWouldBeFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "wal"), fmt.Appendf(nil, "…%s…", backendKey), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := len(filesWithSecrets(t, dir, secrets)); n != 1 {
		t.Errorf("files found: got %d, want 1", n)
	}
}
