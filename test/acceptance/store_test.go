package acceptance

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers"
)

// answersPost posts until the answer is want.
func (b *box) answersPost(want int, status, name string, startsAt time.Time) {
	b.t.Helper()
	b.eventually(fmt.Sprintf("the webhook to be answered %d", want), func() error {
		if got := b.post(status, name, startsAt, nil); got != want {
			return fmt.Errorf("got %d", got)
		}
		return nil
	})
}

// notReady waits until readiness is 503.
func (b *box) notReady() {
	b.t.Helper()
	b.eventually("/-/ready to be 503", func() error {
		err := b.get(b.t.Context(), "/-/ready", nil)
		if err == nil || !strings.Contains(err.Error(), "503") {
			return fmt.Errorf("got %v", err)
		}
		return nil
	})
}

// lives fails the test when the daemon has ended.
func (b *box) lives() {
	b.t.Helper()
	select {
	case <-b.ended:
		b.t.Fatal("the daemon ended with its store")
	default:
	}
	if err := b.get(b.t.Context(), "/-/healthy", nil); err != nil {
		b.t.Fatal(err)
	}
}

// pagedOnce reports whether there is exactly one incident about something at
// the pager, with exactly one trigger and in the given status.
func (b *box) pagedOnce(about, key, status string) func() error {
	return func() error {
		incs := b.pages(about)
		if len(incs) != 1 {
			return fmt.Errorf("pages about %s: got %d, want 1", about, len(incs))
		}
		inc := incs[0]
		if inc.Merges() != 0 || inc.Status != status || inc.RoutingKey != key {
			return fmt.Errorf("page about %s is %s with %d triggers too many for the owner with key %s", about, inc.Status, inc.Merges(), inc.RoutingKey)
		}
		return nil
	}
}

// pagedUnderOneKey is pagedOnce where what was sent may be sent again: nobody has
// recorded that the pager took it. It merges the two.
func (b *box) pagedUnderOneKey(about, key, status string) func() error {
	return func() error {
		if incs := b.pages(about); len(incs) != 1 || incs[0].Status != status || incs[0].RoutingKey != key {
			return fmt.Errorf("pages about %s: %+v, want one that is %s", about, incs, status)
		}
		return nil
	}
}

// allEnded reports whether no incident is open and nothing is thrown.
func (b *box) allEnded() error {
	if st := b.status(); len(st.Incidents) > 0 || len(st.Thrown) > 0 || st.Owed > 0 {
		return fmt.Errorf("open: %+v, thrown: %+v, pages owed: %d", st.Incidents, st.Thrown, st.Owed)
	}
	return nil
}

// The store's process is killed, and killed again, while a breach begins:
// nothing is thrown, nothing is acknowledged, and what is ill is paged
// straight. When the store is back the breach is acted on once.
func TestStoreIsKilledDuringABreach(t *testing.T) {
	t.Parallel()
	p, b := newProduction(t), newBox(t)
	p.configure(b, "auto", failover)
	b.write("alerts.yaml", alertSource)
	b.start()
	b.watched()
	stop := b.killMembers()
	b.notReady()
	began := time.Now()
	p.reads(5)
	b.answersPost(http.StatusServiceUnavailable, "firing", "TestKilled", began)
	b.eventually("the breach to be paged straight", b.pagedOnce("db/eu", backendKey, "triggered"))
	b.eventually("the refused alert to be paged straight", b.pagedOnce("TestKilled", backendKey, "triggered"))
	b.lives()
	if out, code := b.operate("ready"); code != 1 {
		t.Errorf("signalboxctl ready without a store: got exit code %d, want 1: %s", code, out)
	}
	if out := b.must("status"); !strings.Contains(out, "does NOT lead") {
		t.Errorf("signalboxctl status must tell that there is no store:\n%s", out)
	}
	if err := p.wrote()(); err != nil {
		t.Fatalf("without a store nothing is thrown: %v", err)
	}
	stop()
	b.ready()
	b.must("ready")
	b.eventually("the endpoint to be flipped", p.wrote(replicaB))
	b.answersPost(http.StatusOK, "firing", "TestKilled", began)
	p.reads(0.01)
	b.answersPost(http.StatusOK, "resolved", "TestKilled", began)
	b.eventually("the endpoint to be flipped back", p.wrote(replicaB, replicaA))
	b.eventually("everything to end", b.allEnded)
	for _, about := range []string{"db/eu", "TestKilled"} {
		b.eventually("its page to be resolved", b.pagedOnce(about, backendKey, "resolved"))
	}
	b.lives()
}

// The disk is full: the daemon lives, acknowledges nothing and pages straight;
// once there is room the same incidents go on, and end.
func TestStoreDiskIsFull(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 200<<20) // etcd allocates 64 MB at a time for its log
	b := newBox(t)
	b.data = filepath.Join(disk, "data")
	exporter := queueSource(t, b)
	b.start()
	b.watched()
	ballast := filepath.Join(disk, "ballast")
	fill(t, ballast)
	b.floodUntilRefused()
	began := time.Now()
	exporter.Set("queue_depth", 500, "queue", "psp")
	b.answersPost(http.StatusServiceUnavailable, "firing", "TestDiskFull", began)
	b.eventually("the breach to be paged straight", b.pagedOnce("queue/psp", devopsKey, "triggered"))
	b.eventually("the refused alert to be paged straight", b.pagedOnce("TestDiskFull", backendKey, "triggered"))
	b.steadily(5*time.Second, "each is paged once", func() error {
		return errors.Join(b.pagedOnce("queue/psp", devopsKey, "triggered")(), b.pagedOnce("TestDiskFull", backendKey, "triggered")())
	})
	b.lives()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	b.ready()
	b.goesOn(exporter, "TestDiskFull", began, b.pagedOnce)
}

// goesOn tells the end of a story: with the store back the open incidents are
// those that were paged, no page is sent again, and both end.
func (b *box) goesOn(exporter *servers.ExporterServer, alert string, began time.Time, paged func(about, key, status string) func() error) {
	b.t.Helper()
	b.answersPost(http.StatusOK, "firing", alert, began)
	keys := map[string]bool{b.pages("queue/psp")[0].DedupKey: true, b.pages(alert)[0].DedupKey: true}
	b.eventually("both incidents to be open", func() error {
		st := b.status()
		for _, inc := range st.Incidents {
			if !keys[inc.DedupKey] {
				return fmt.Errorf("incident %s has the key %s, want one of those that were paged", inc.ID, inc.DedupKey)
			}
		}
		if len(st.Incidents) != 2 {
			return fmt.Errorf("open: got %d, want 2", len(st.Incidents))
		}
		return nil
	})
	b.steadily(3*time.Second, "neither is paged again", func() error {
		return errors.Join(paged("queue/psp", devopsKey, "triggered")(), paged(alert, backendKey, "triggered")())
	})
	exporter.Set("queue_depth", 1, "queue", "psp")
	b.answersPost(http.StatusOK, "resolved", alert, began)
	b.eventually("everything to end", b.allEnded)
	b.eventually("the breach's page to be resolved", paged("queue/psp", devopsKey, "resolved"))
	b.eventually("the alert's page to be resolved", paged(alert, backendKey, "resolved"))
	b.lives()
}

// fdatasync fails in the store's process: it ends rather than go on with pages
// that it can't trust, and the daemon goes on with another.
func TestStoreSyncFails(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		untested(t, "a failing fdatasync: no strace here")
	}
	b := newBox(t)
	exporter := queueSource(t, b)
	b.start()
	b.watched()
	member := b.memberPID()
	out := &logBuffer{}
	tracer := exec.Command(strace, "-f", "-p", strconv.Itoa(member), "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=1+")
	tracer.Stderr = out
	tracer.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	ended, err := servers.Start(tracer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tracer.Process.Signal(syscall.SIGTERM); <-ended })
	began := time.Now()
	exporter.Set("queue_depth", 500, "queue", "psp")
	b.eventually("the member to end by its failing disk", func() error {
		select {
		case <-ended:
			if !strings.Contains(out.String(), "INJECTED") {
				untested(t, "a failing fdatasync: strace can't attach: %s", out.String())
			}
			return nil
		default:
			// A write that can't be synced is never acknowledged.
			fails := strings.Contains(out.String(), "INJECTED")
			if code := b.post("firing", "TestSync", began, nil); fails && code == http.StatusOK && b.memberPID() == member {
				t.Error("a webhook was acknowledged by a store that can't sync")
			}
			return errors.New("it runs")
		}
	})
	b.ready()
	b.lives()
	if now := b.memberPID(); now == member {
		t.Errorf("the member is still process %d", now)
	}
	b.eventually("the breach to be paged", b.pagedUnderOneKey("queue/psp", devopsKey, "triggered"))
	b.answersPost(http.StatusOK, "firing", "TestSync", began)
	b.eventually("the alert to be paged", b.pagedUnderOneKey("TestSync", backendKey, "triggered"))
	b.goesOn(exporter, "TestSync", began, b.pagedUnderOneKey) // its disk may fail between a page and the record of it
}

// A restart on the same data directory, after kill -9 and in good order: what
// was open is open, and is not paged again.
func TestRestartOnTheSameData(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	exporter := queueSource(t, b)
	b.start()
	b.watched()
	began := time.Now()
	exporter.Set("queue_depth", 500, "queue", "psp")
	b.answersPost(http.StatusOK, "firing", "TestRestart", began)
	b.eventually("the breach to be paged", b.pagedOnce("queue/psp", devopsKey, "triggered"))
	b.eventually("the alert to be paged", b.pagedOnce("TestRestart", backendKey, "triggered"))
	before := b.status()
	for _, end := range []func(){b.kill, b.stop} {
		end()
		from := time.Now()
		b.start()
		t.Logf("ready again %v after its start", time.Since(from).Round(time.Millisecond))
		after := b.status()
		if len(before.Incidents) != 2 || len(after.Incidents) != 2 {
			t.Fatalf("open incidents: got %d before and %d after, want 2", len(before.Incidents), len(after.Incidents))
		}
		for i := range after.Incidents {
			if after.Incidents[i].ID != before.Incidents[i].ID || after.Incidents[i].OpenedAt != before.Incidents[i].OpenedAt {
				t.Errorf("incident %d was %s and is %s", i, before.Incidents[i].ID, after.Incidents[i].ID)
			}
		}
	}
	b.goesOn(exporter, "TestRestart", began, b.pagedOnce)
}
