package acceptance

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An external etcd is lost, and restored by etcd's own tool (as a library): first
// from the database file of a member that was stopped, then from an older backup. From
// the first nothing is missing, so the replicas work on; of the second they know
// that it is older, and are frozen until a person confirms. What they had thrown
// stays thrown once, and no page comes twice.
func TestReplicasExternalStoreIsRestored(t *testing.T) {
	t.Parallel()
	p, h := newProduction(t), newHouse(t)
	p.configure(h.box, "auto", failover)
	h.write("alerts.yaml", alertSource)
	h.open()
	leader, _ := h.leader()
	leader.watched()
	old := filepath.Join(t.TempDir(), "old")
	leader.must("store", "backup", old)
	leader.answersPost(200, "firing", "TakenBefore", time.Now())
	p.replica("a", 5) // so that it is not taken back yet
	p.reads(5)
	h.eventually("the endpoint to be flipped", p.wrote(replicaB))
	p.reads(0.01)
	h.eventually("all of it to be paged and known", func() error {
		if err := h.pagedOnce("TakenBefore", backendKey, "triggered")(); err != nil {
			return err
		}
		return leader.knows([]string{"TakenBefore"})
	})

	h.replaceEtcd("")
	h.whole()
	next, _ := h.leader()
	h.eventually("all of it to be there", func() error { return next.knows([]string{"TakenBefore"}) })
	if out := next.must("store", "status"); strings.Contains(out, "FROZEN") {
		t.Errorf("what was left has all that the marks know of, and it is frozen:\n%s", out)
	}
	h.steadily(3*time.Second, "nothing is thrown again", p.wrote(replicaB))

	h.replaceEtcd(old)
	h.whole()
	next, _ = h.leader()
	h.eventually("the older copy to be noticed", func() error {
		if out := next.must("store", "status"); !strings.Contains(out, "FROZEN") || !strings.Contains(out, "older than its marks") {
			return errors.New(out)
		}
		return nil
	})
	h.eventually("the default owner to be paged once", h.pagedOnce(frozenPage, devopsKey, "triggered"))
	p.reads(5)
	h.steadily(4*time.Second, "nothing is thrown while it is frozen", p.wrote(replicaB))
	next.must("store", "confirm", "--reason", "compared with the cluster")
	h.noneTwice()
}

// replaceEtcd stops all, and makes the etcd's data anew.
func (h *house) replaceEtcd(backup string) {
	h.t.Helper()
	for _, b := range h.boxes {
		b.kill()
	}
	h.etcd.Restore(backup)
	for _, b := range h.boxes {
		b.launch()
	}
}
