package acceptance

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Three replicas with embedded members, started one after the other. Each takes
// alerts; the leader is killed with a write on its way, another goes on, and
// the late write is refused: one effect, one page each. A stop in good order
// hands over; a replica whose disk is lost is replaced under its name.
func TestThreeReplicasWithEmbeddedMembers(t *testing.T) {
	t.Parallel()
	p, boxes := newProduction(t), newCluster(t)
	p.configure(boxes[0], "auto", failover)
	boxes[0].write("alerts.yaml", alertSource)
	boxes[2].launch()
	boxes[2].eventually("it says what it waits for", func() error {
		err := boxes[2].get(t.Context(), "/-/ready", nil)
		if err == nil || !strings.Contains(err.Error(), "waits for all members of the cluster story (a, b, c), which its first start takes: a does not answer; b does not answer") {
			return fmt.Errorf("got %w", err)
		}
		return nil
	})
	boxes[1].launch()
	boxes[0].launch()
	for _, b := range boxes {
		b.eventually("its member to serve", b.serving)
	}
	leader, others := leads(boxes...)
	for i, b := range boxes {
		name := fmt.Sprintf("Taken%d", i)
		b.taken(name)
		b.eventually(name+" to be paged", b.pagedOnce(name, backendKey, "triggered"))
	}
	leader.watched()
	h := p.slow.holdNextWrite(false)
	p.reads(5)
	leader.eventually("the write to be on its way", h.isHere)
	killed := time.Now()
	leader.kill()
	next, rest := leads(others...)
	t.Logf("killed with a lease of 2s, another led after %v", time.Since(killed))
	next.eventually("the endpoint to be flipped", p.wrote(replicaB))
	close(h.release)
	if code := h.answered(t); code != http.StatusConflict {
		t.Errorf("the late write of the killed leader was answered %d, want 409", code)
	}
	next.steadily(2*time.Second, "it is flipped once", p.wrote(replicaB))
	rest[0].taken("TakenByTwo")
	next.eventually("it to be paged", next.pagedOnce("TakenByTwo", backendKey, "triggered"))
	leader.launch()
	leader.eventually("its member to serve", leader.serving)
	p.reads(0.01)
	next.eventually("the endpoint to be flipped back", p.wrote(replicaB, replicaA))

	stopped := time.Now()
	if err := next.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	left, _ := leads(leader, rest[0])
	t.Logf("stopped in good order, another led after %v", time.Since(stopped))
	next.stop()
	replaced(t, next, left, boxes)
	left.steadily(2*time.Second, "nothing more is written", p.wrote(replicaB, replicaA))
	for _, name := range []string{"Taken0", "Taken1", "Taken2", "TakenByTwo"} {
		if err := left.pagedOnce(name, backendKey, "triggered")(); err != nil {
			t.Error(err)
		}
	}
	if incs := left.pages("has no store"); len(incs) != 0 {
		t.Errorf("a cluster that never lost its quorum has paged %d times that it has no store", len(incs))
	}
	p.othersUntouched()
}

// replaced loses a replica's disk, and replaces its member through the leader.
func replaced(t *testing.T, gone, leader *box, boxes []*box) {
	t.Helper()
	if err := os.RemoveAll(gone.data + "/store"); err != nil {
		t.Fatal(err)
	}
	name, address := gone.args[1], "https://"+gone.args[7]
	gone.launch()
	gone.eventually("it is refused under its old identity", gone.logged("signalboxctl store members remove"))
	gone.kill()
	if out := leader.must("store", "members"); !strings.Contains(out, "cluster story has a quorum") || !strings.Contains(out, "does not answer") {
		t.Errorf("the list must tell which member is gone:\n%s", out)
	}
	leader.must("store", "members", "remove", "--reason", "its disk is gone", name)
	leader.eventually("it is added", func() error { // not before the members have seen each other for 5 s
		if out, code := leader.operate("store", "members", "add", "--reason", "its disk is gone", name, address); code != 0 {
			return fmt.Errorf("exit code %d: %s", code, out)
		}
		return nil
	})
	gone.args = append(gone.args, "--cluster.join")
	gone.launch()
	for _, b := range boxes {
		b.eventually("all three to serve", b.serving)
	}
	out := leader.must("store", "members")
	if strings.Count(out, " ok\n") != 3 || strings.Contains(out, "learner") {
		t.Errorf("all three must have a vote and answer:\n%s", out)
	}
}
