package servers

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/signalbox/signalbox/test/servers/cache"
)

// bundle returns the folder of a bundle in the cache.
func bundle(t testing.TB, b cache.Bundle) string {
	t.Helper()
	if testing.Short() {
		t.Skipf("-short leaves out what needs a real server (%s)", b.Name)
	}
	dir, err := b.Path()
	if err != nil {
		t.Fatal(err)
	}
	if b.Find(dir) != "" {
		return dir
	}
	lacks(t, b.Name, b.Version)
	return ""
}

// lacks skips a test for which a server is not there, and fails it in CI.
func lacks(t testing.TB, name, version string) {
	t.Helper()
	if strings.EqualFold(os.Getenv("CI"), "true") {
		t.Fatalf("%s %s is not there: run `%s` first", name, version, cache.Command)
	}
	t.Skipf("SKIPPED, NOT TESTED: %s %s is not there: run `%s`", name, version, cache.Command)
}

// libraries is the environment in which a bundle's programs find theirs.
func libraries(b cache.Bundle, dir string) []string {
	env := append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	if path := b.Libraries(dir); path != "" {
		env = append(env, "LD_LIBRARY_PATH="+path)
	}
	return env
}

// nobody is the account under which a server runs that refuses to run as root;
// nil: the test does not run as root itself.
func nobody() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	const id = 65534 // nobody and nogroup, on Debian
	return &syscall.Credential{Uid: id, Gid: id}
}

// openDir makes a folder that another account can reach, which the test's own
// are not, and gives it to that account.
func openDir(t testing.TB, owner *syscall.Credential) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "signalbox-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if owner != nil {
		if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// reachable returns a bundle's folder where an account can read it: as it is,
// or copied below dir, since a home directory may be its owner's alone.
func reachable(t testing.TB, b cache.Bundle, account *syscall.Credential, dir string, parts ...string) string {
	t.Helper()
	from := bundle(t, b)
	if account == nil {
		return from
	}
	for _, part := range parts {
		to := filepath.Join(dir, part)
		if _, err := os.Stat(filepath.Join(from, part)); os.IsNotExist(err) {
			continue
		}
		if err := os.CopyFS(to, os.DirFS(filepath.Join(from, part))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run runs a program to its end, and returns what it said.
func run(ctx context.Context, h how, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = h.env, h.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: h.user}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", filepath.Base(argv[0]), err, strings.TrimSpace(string(out)))
	}
	return strings.TrimSpace(string(out)), nil
}

// listening is nil once something accepts connections on a port.
func listening(ctx context.Context, port int) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	return c.Close()
}
