package acceptance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
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
		holds, err := fileHolds(path, secrets)
		if holds {
			found = append(found, path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Logf("not all of the data directory could be looked through: %v", err)
	}
	return found
}

// fileHolds looks through what was written of a file: a log of the store's has 64 MB
// from the start, of which few are.
func fileHolds(path string, secrets []string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	for at := int64(0); ; {
		begin, err := f.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) { // nothing more was written
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if at, err = f.Seek(begin, unix.SEEK_HOLE); err != nil {
			return false, err
		}
		text, err := io.ReadAll(io.NewSectionReader(f, begin, at-begin))
		if err != nil || holdsSecret(text, secrets) {
			return err == nil, err
		}
	}
}

// The search for secrets finds one that is there, also behind what was never
// written.
func TestSecretsWouldBeFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, at := range map[string]int64{"begin": 0, "behind": 32 << 20} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(fmt.Appendf(nil, "…%s…", backendKey), at); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Truncate(64<<20), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if found := filesWithSecrets(t, dir, secrets); len(found) != 2 {
		t.Errorf("files found: got %q, want two", found)
	}
}
