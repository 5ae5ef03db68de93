package acceptance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/test/servers"
)

// tokens are those of the fences that the daemon wrote, seals included, oldest
// first.
func (p *production) tokens() (tokens []signalbox.Token) {
	p.t.Helper()
	for _, e := range p.kube.Audit(servers.Daemon) {
		var patch corev1.ConfigMap
		if e.Verb == "get" || e.ObjectRef.Resource != "configmaps" || e.ResponseStatus.Code/100 != 2 {
			continue
		}
		if err := json.Unmarshal(e.RequestObject, &patch); err != nil {
			p.t.Fatal(err)
		}
		if text, ok := patch.Annotations[fence.Annotation(endpointKey)]; ok {
			f, err := fence.Parse([]byte(text))
			if err != nil {
				p.t.Fatalf("%s: %v", text, err)
			}
			tokens = append(tokens, f.Token)
		}
	}
	return tokens
}

// frozenPage begins what the default owner is told.
const frozenPage = "signalbox remediates nothing: the store is older than its marks"

// spentFor is the window of the story's budgets.
const spentFor = 30 * time.Second

// A backup under load, more work, and a kill; then the older backup: the daemon
// is frozen, restarts included, and says so; it throws nothing, and pages. A
// person confirms: what was spent counts as spent, then it acts again, and no
// token at the target was ever less than the one before. A store that is newer
// than the marks is relied on at once.
func TestRestoreOfAnOlderStoreFreezes(t *testing.T) {
	t.Parallel()
	p, b := newProduction(t), newBox(t)
	p.quick = true
	p.configure(b, "auto", strings.Replace(patient, "after_healthy: 3s", "after_healthy: 1s", 1))
	b.shorten(fmt.Sprintf("1000/%s", spentFor))
	b.write("alerts.yaml", alertSource)
	b.start()
	b.watched()
	want := b.flips(p, nil)
	backup := filepath.Join(t.TempDir(), "backup")
	stop := b.load()
	b.must("store", "backup", backup)
	stop()
	b.refusesToOverwrite(backup)
	want = b.flips(p, want)
	before := p.tokens()
	if out, code := b.operate("store", "restore", "--data", b.data, backup); code != 1 || !strings.Contains(out, "stop its daemon") {
		t.Fatalf("restore beside a running daemon: exit code %d: %s", code, out)
	}
	b.kill()
	b.must("store", "restore", "--data", b.data, backup)
	b.start()
	b.watched()
	b.isFrozen(p, want, true)
	b.kill()
	b.start()
	b.watched()
	b.isFrozen(p, want, false)
	if out, code := b.operate("store", "confirm"); code != 2 || !strings.Contains(out, "--reason") {
		t.Errorf("confirm without a reason: exit code %d: %s", code, out)
	}
	b.must("store", "confirm", "--reason", "compared with the cluster")
	b.spentAfterConfirming(p, want)
	want = append(want, replicaB)
	b.eventually("the endpoint to be flipped once the window is over", p.wrote(want...))
	b.eventually("the page about the store to be resolved", b.pagedOnce(frozenPage, devopsKey, "resolved"))
	want = append(want, replicaA)
	p.reads(0.01)
	b.eventually("the endpoint to be flipped back", p.wrote(want...))
	b.isOver("db/eu")
	b.newerIsRelied(p, want)
	b.journalVerifies()
	tokens := p.tokens()
	for i := 1; i < len(tokens); i++ {
		if tokens[i] < tokens[i-1] {
			t.Errorf("the target's token decreased: %d", tokens)
		}
	}
	if last := before[len(before)-1]; tokens[len(before)] <= last {
		t.Errorf("after the restore the first token is %d, want more than %d", tokens[len(before)], last)
	}
}

// shorten gives all budgets another rate.
func (b *box) shorten(rate string) {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.config, "production.yaml"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.write("production.yaml", strings.ReplaceAll(string(text), "1000/day", rate))
}

// flips lets the lag come and go, and returns all effects until then.
func (b *box) flips(p *production, want []string) []string {
	b.t.Helper()
	p.reads(5)
	want = append(want, replicaB)
	b.eventually("the endpoint to be flipped", p.wrote(want...))
	p.reads(0.01)
	want = append(want, replicaA)
	b.eventually("the endpoint to be flipped back", p.wrote(want...))
	b.isOver("db/eu")
	return want
}

// isOver waits until nothing is open on a subject. What is seen at the target is
// there before the daemon has its answer: a breach between the two is a relapse,
// and no new incident.
func (b *box) isOver(subject string) {
	b.t.Helper()
	b.eventually("the incident on "+subject+" to be over", func() error {
		for _, inc := range b.status().Incidents {
			if inc.Reading.Subject == subject {
				return fmt.Errorf("%s is open: %+v", inc.ID, inc.Because)
			}
		}
		return nil
	})
}

// load lets alerts come until it is told to stop.
func (b *box) load() (stop func()) {
	done := make(chan struct{})
	var sending sync.WaitGroup
	began, taken := time.Now(), 0
	sending.Go(func() {
		for {
			if b.post("firing", "TestLoad", began, nil) == 200 {
				taken++
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	return func() {
		b.t.Helper()
		close(done)
		sending.Wait()
		if taken == 0 {
			b.t.Error("no alert was taken during the backup")
		}
		b.post("resolved", "TestLoad", began, nil)
	}
}

// refusesToOverwrite looks at a backup's file, and that another leaves it alone.
func (b *box) refusesToOverwrite(path string) {
	b.t.Helper()
	was, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	if out, code := b.operate("store", "backup", path); code != 2 || !strings.Contains(out, "is there already") {
		b.t.Errorf("a backup over a backup: exit code %d: %s", code, out)
	}
	now, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(was, now) {
		b.t.Errorf("the backup was changed: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		b.t.Errorf("the backup's mode: %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		b.t.Errorf("left beside it: %q", left)
	}
	if out := b.must("store", "status"); !strings.Contains(out, "last backup") || strings.Contains(out, "none is on record") {
		b.t.Errorf("status must tell of the backup:\n%s", out)
	}
}

// isFrozen expects that a breach is paged and that nothing is thrown for it.
func (b *box) isFrozen(p *production, want []string, first bool) {
	b.t.Helper()
	if out := b.must("store", "status"); !strings.Contains(out, "FROZEN") || !strings.Contains(out, "older than its marks") {
		b.t.Fatalf("status must say that it is frozen, and why:\n%s", out)
	}
	b.eventually("the default owner to be paged once", b.pagedOnce(frozenPage, devopsKey, "triggered"))
	began := time.Now()
	name := fmt.Sprintf("TestFrozen%t", first)
	p.reads(5)
	if code := b.post("firing", name, began, nil); code != 200 {
		b.t.Errorf("an alert was answered %d while frozen", code)
	}
	b.eventually("the alert to be paged", b.pagedOnce(name, backendKey, "triggered"))
	b.eventually("the breach to be paged", func() error {
		if n := len(b.pages("db/eu")); n == 0 {
			return errors.New("no page about db/eu")
		}
		return nil
	})
	b.steadily(5*time.Second, "nothing is thrown while it is frozen", p.wrote(want...))
	p.reads(0.01)
	b.post("resolved", name, began, nil)
}

// spentAfterConfirming expects that a breach is held by what may have been
// spent.
func (b *box) spentAfterConfirming(p *production, want []string) {
	b.t.Helper()
	if out := b.must("store", "status"); strings.Contains(out, "FROZEN") || !strings.Contains(out, "compared with the cluster") {
		b.t.Errorf("status must tell of the confirmation:\n%s", out)
	}
	p.reads(5)
	b.eventually("the breach to be held by what counts as spent", func() error {
		for _, inc := range b.status().Incidents {
			for _, r := range inc.Because {
				if r.Guard == "restored" && !r.Passed && strings.Contains(r.Detail, "counts as spent") {
					return nil
				}
			}
		}
		return errors.New("no incident is held by it")
	})
	if err := p.wrote(want...)(); err != nil {
		b.t.Errorf("acted while its budget counts as spent: %v", err)
	}
}

// newerIsRelied restores a store that is newer than the marks beside it.
func (b *box) newerIsRelied(p *production, want []string) {
	b.t.Helper()
	marks := filepath.Join(b.data, "marks.json")
	old, err := os.ReadFile(marks)
	if err != nil {
		b.t.Fatal(err)
	}
	want = b.flips(p, want)
	newer := filepath.Join(b.t.TempDir(), "newer")
	b.must("store", "backup", newer)
	b.kill()
	b.must("store", "restore", "--data", b.data, newer)
	if err := os.WriteFile(marks, old, 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.start()
	b.watched()
	if out := b.must("store", "status"); strings.Contains(out, "FROZEN") {
		b.t.Errorf("a newer store is frozen:\n%s", out)
	}
	b.flips(p, want)
	if n := len(b.pages(frozenPage)); n != 1 {
		b.t.Errorf("pages about the store: got %d, want the one of before", n)
	}
}

// journalVerifies exports the journal, and verifies it in the daemon and by
// itself.
func (b *box) journalVerifies() {
	b.t.Helper()
	b.must("journal", "verify")
	file := filepath.Join(b.t.TempDir(), "journal.jsonl")
	b.must("journal", "export", file)
	b.must("journal", "verify", file)
	text, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, want := range []string{`"kind":"store.frozen"`, `compared with the cluster`} {
		if !bytes.Contains(text, []byte(want)) {
			b.t.Errorf("the journal does not tell %s", want)
		}
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	if err := os.WriteFile(file, bytes.Join(append(lines[:5:5], lines[6:]...), nil), 0o600); err != nil {
		b.t.Fatal(err)
	}
	if out, code := b.operate("journal", "verify", file); code != 1 || !strings.Contains(out, "line 6: entry 6 is missing") {
		b.t.Errorf("an export with an entry left out: exit code %d: %s", code, out)
	}
}
