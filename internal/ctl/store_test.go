package ctl

import (
	"crypto/sha256"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// aSnapshot is what passes for a snapshot: a database of a size that one can have,
// with its hash.
func aSnapshot() string {
	db := strings.Repeat("d", 1024)
	sum := sha256.Sum256([]byte(db))
	return db + string(sum[:])
}

// A backup is there whole, or not at all, and overwrites nothing.
func TestStoreBackup(t *testing.T) {
	whole := aSnapshot()
	for name, c := range map[string]struct {
		status int
		body   string
		code   int
		says   string
	}{
		"whole":     {http.StatusOK, whole, OK, ""},
		"cut short": {http.StatusOK, whole[:len(whole)-1], Refused, "cut short"},
		"changed":   {http.StatusOK, "e" + whole[1:], Refused, "was changed"},
		"refused":   {http.StatusForbidden, `{"error":"it needs the right to store on all"}`, Refused, "the right to store"},
	} {
		t.Run(name, func(t *testing.T) {
			f, path := newFake(t, c.status, c.body), filepath.Join(t.TempDir(), "backup")
			out, errs, code := run(t, "--server", f.URL, "store", "backup", path)
			if code != c.code || !strings.Contains(errs, c.says) {
				t.Errorf("exit code %d, want %d: %s%s", code, c.code, out, errs)
			}
			if f.asked[0].method != http.MethodPost || f.asked[0].path != "/api/v1/store/backup" {
				t.Errorf("asked %+v", f.asked[0])
			}
			files, err := os.ReadDir(filepath.Dir(path))
			if err != nil || (len(files) > 0) != (c.code == OK) || len(files) > 1 {
				t.Fatalf("files: %v, %v", files, err)
			}
			if c.code != OK {
				return
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != whole {
				t.Errorf("the file has %d bytes, %v", len(b), err)
			}
			if _, errs, code := run(t, "--server", f.URL, "store", "backup", path); code != Usage || !strings.Contains(errs, "is there already") || len(f.asked) != 1 {
				t.Errorf("over it: exit code %d: %s; asked %d times", code, errs, len(f.asked))
			}
		})
	}
}

// A copy of a stopped daemon's data is made without asking any daemon, and kept
// only where it is whole.
func TestStoreBackupOfAStoppedDaemon(t *testing.T) {
	for data, want := range map[string]int{"whole": OK, "short": Refused} {
		path := filepath.Join(t.TempDir(), "backup")
		out, errs, code := run(t, "store", "backup", "--data", data, path)
		if code != want {
			t.Errorf("%s: exit code %d, want %d: %s%s", data, code, want, out, errs)
		}
		if b, err := os.ReadFile(path); (err == nil) != (want == OK) || err == nil && string(b) != aSnapshot() {
			t.Errorf("%s: the file has %d bytes, %v", data, len(b), err)
		}
		if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	}
}

// A member is restored by the flags of its daemon.
func TestStoreRestoreOfAMember(t *testing.T) {
	args := []string{"store", "restore", "--data", "d", "--cluster.name", "prod", "--cluster.initial-members", "a=https://h:1", "--cluster.member-name", "a", "file"}
	out, errs, code := run(t, args...)
	for _, want := range []string{"restored 3 keys", "member a of the cluster with id prod/a", "from the same file", "store confirm --reason"} {
		if code != OK || !strings.Contains(out, want) {
			t.Errorf("exit code %d, want %q in:\n%s%s", code, want, out, errs)
		}
	}
	if _, errs, code := run(t, "store", "restore", "--data", "d", "--cluster.initial-members", "a=https://h:1", "file"); code != Usage || !strings.Contains(errs, "--cluster.member-name") {
		t.Errorf("without the member's name: exit code %d: %s", code, errs)
	}
}

func TestStoreStatus(t *testing.T) {
	f := newFake(t, http.StatusOK, `{"kind":"embedded","leading":true,
		"state":{"id":"ABC","epoch":2,"frozen":{"why":"3 are missing","at":"2026-03-01T12:00:00Z","replica":"a"}},
		"marks":{"v":1,"store":"ABC","epoch":2,"seq":7,"hash":"h","revision":40,"at":"2026-03-01T12:00:00Z"},
		"cluster":{"id":"1","revision":41,"alarms_of_no_member":[{"id":"bad","alarm":"NOSPACE"}],"unlisted":["b=https://h:1"],"members":[{"id":"2","name":"one","leader":true,"db_size_bytes":100,"quota_bytes":200,"alarms":["NOSPACE"]}]}}`)
	for command, wants := range map[string][]string{
		"status": {"embedded, id ABC, epoch 2", "FROZEN", "3 are missing", "store confirm", "none is on record", "entry 7, revision 40", "leads", "100 of 200 bytes", "; ALARM NOSPACE", "NOSPACE of bad, which is no member", "b=https://h:1: the --cluster.initial-members"},
	} {
		out, errs, code := run(t, "--server", f.URL, "store", command)
		for _, want := range wants {
			if code != OK || !strings.Contains(out, want) {
				t.Errorf("store %s: exit code %d, want %q in:\n%s%s", command, code, want, out, errs)
			}
		}
	}
}

func TestStoreAndJournalUsage(t *testing.T) {
	there := filepath.Join(t.TempDir(), "there")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"store", Usage, `no command "store"`},
		{"store explode", Usage, `no command "store explode"`},
		{"store confirm", Usage, "--reason"},
		{"store backup", Usage, "one argument"},
		{"store restore " + there, Usage, "--data"},
		{"store restore --data " + t.TempDir() + " " + there, Refused, "not restored"},
		{"journal verify " + there, Refused, "no entries"},
		{"journal verify " + t.TempDir(), Refused, "no entries"},
		{"journal verify --all", Usage, "journal verify"},
		{"journal export --since yesterday", Usage, "RFC 3339"},
		{"journal export " + there, Usage, "is there already"},
	} {
		if _, errs, code := run(t, strings.Fields(c.args)...); code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("%s: exit code %d, want %d with %q: %s", c.args, code, c.code, c.says, errs)
		}
	}
}

func TestJournalExportAsks(t *testing.T) {
	f, path := newFake(t, http.StatusOK, "{}\n{}\n"), filepath.Join(t.TempDir(), "out")
	if _, errs, code := run(t, "--server", f.URL, "journal", "export", "--from", "7", path); code != OK {
		t.Fatal(errs)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "{}\n{}\n" {
		t.Errorf("%q, %v", b, err)
	}
	cut := newFake(t, http.StatusOK, "{}\n{")
	if _, errs, code := run(t, "--server", cut.URL, "journal", "export", path+"2"); code != Refused || !strings.Contains(errs, "cut short") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{"24h": now.Add(-24 * time.Hour), "2026-02-01T00:00:00Z": time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)} {
		if at, err := moment(s, now); err != nil || !at.Equal(want) {
			t.Errorf("%s: %s, %v, want %s", s, at, err, want)
		}
	}
}
