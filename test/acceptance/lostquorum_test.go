package acceptance

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// restoredPage begins what the default owner is told of a restored cluster.
const restoredPage = "signalbox remediates nothing: the store was restored by hand"

// Two of three replicas lose their machines, the leader among them, with a switch
// thrown and hundreds of alerts open. The one that is left does nothing by itself
// but page. The run-book, step by step: its store is copied while it stands still,
// all three are restored from that, and they serve again, with every alert that
// was acknowledged. They are frozen, the switch stays where it is, until a person
// confirms; what was spent counts as spent; then they act, and no page, no effect
// and no token came twice.
func TestLostQuorumIsRestored(t *testing.T) {
	t.Parallel()
	p, boxes := newProduction(t), newCluster(t)
	p.quick = true
	p.configure(boxes[0], "auto", strings.Replace(patient, "after_healthy: 3s", "after_healthy: 1s", 1))
	boxes[0].shorten(fmt.Sprintf("1000/%s", spentFor))
	boxes[0].write("alerts.yaml", alertSource)
	h := &house{box: boxes[0], boxes: boxes}
	for _, b := range boxes {
		b.launch()
	}
	leader, others := leads(boxes...)
	leader.watched()
	load := h.send("Load")
	p.replica("a", 5) // so that it is not taken back yet
	p.reads(5)
	h.eventually("the endpoint to be flipped", p.wrote(replicaB))
	p.reads(0.01)
	h.eventually("it to have helped", func() error {
		for _, inc := range leader.status().Incidents {
			if inc.Outcome == signalbox.Recovered {
				return nil
			}
		}
		return errors.New("not verified yet")
	})
	load.stop()
	left, gone := others[0], []*box{leader, others[1]}
	h.eventually("the survivor to know all that was acknowledged", func() error { return left.knows(load.taken) })
	for _, b := range gone {
		b.kill()
		if err := os.RemoveAll(b.data); err != nil {
			t.Fatal(err)
		}
	}
	left.notReady()
	h.eventually("the quorum to be missed", func() error {
		if out := left.must("store", "members"); !strings.Contains(out, "has NO quorum") || strings.Count(out, "does not answer") != 2 {
			return errors.New(out)
		}
		return nil
	})
	left.answersPost(http.StatusServiceUnavailable, "firing", "TestNobodyTakes", time.Now())
	h.steadily(3*time.Second, "nothing is thrown without a quorum", p.wrote(replicaB))

	copied := filepath.Join(t.TempDir(), "copy")
	if out, code := left.operate("store", "backup", "--data", left.data, copied); code != 1 || !strings.Contains(out, "stop its daemon") {
		t.Fatalf("a copy of the files beneath a running daemon: exit code %d: %s", code, out)
	}
	left.stop()
	left.must("store", "backup", "--data", left.data, copied)
	said := map[string]bool{}
	for _, b := range boxes {
		said[b.restoreMember(copied)] = true
	}
	if len(said) != 1 {
		t.Errorf("the members were restored into %d clusters: %v", len(said), said)
	}
	for _, b := range boxes {
		b.launch()
	}
	for _, b := range boxes {
		b.eventually("its member to serve", b.serving)
	}
	leader, _ = leads(boxes...)
	h.eventually("the daemon to say that it is frozen, and why", func() error {
		if out := leader.must("store", "status"); !strings.Contains(out, "FROZEN") || !strings.Contains(out, "restored by hand") {
			return errors.New(out)
		}
		return nil
	})
	h.eventually("the default owner to be paged once", h.pagedOnce(restoredPage, devopsKey, "triggered"))
	h.eventually("all that was acknowledged to be an incident", load.allTaken)
	t.Logf("%d alerts were acknowledged, and outlived two of three machines", len(load.taken))
	p.replica("a", 0.01)
	h.steadily(4*time.Second, "nothing is thrown, nor taken back, while it is frozen", p.wrote(replicaB))

	leader.must("store", "confirm", "--reason", "compared with the cluster")
	h.eventually("what was thrown to be taken back", p.wrote(replicaB, replicaA))
	leader.spentAfterConfirming(p, []string{replicaB, replicaA})
	h.eventually("the others to rely on it too", func() error {
		for _, b := range boxes {
			if text, err := os.ReadFile(filepath.Join(b.data, "marks.json")); err != nil || strings.Contains(string(text), "restored") {
				return fmt.Errorf("%s: %s %w", b.data, text, err)
			}
		}
		return nil
	})
	leader.kill()
	next := h.successor(leader)
	if out := next.must("store", "status"); strings.Contains(out, "FROZEN") {
		t.Errorf("the successor is frozen again:\n%s", out)
	}
	h.eventually("the endpoint to be flipped once the window is over", p.wrote(replicaB, replicaA, replicaB))
	leader.launch()
	next.must("journal", "verify")
	h.oneEach(map[string]int{"db/eu": 2}) // before, and after it was confirmed
	for i, tokens := 1, p.tokens(); i < len(tokens); i++ {
		if tokens[i] < tokens[i-1] {
			t.Errorf("the target's token decreased: %d", tokens)
		}
	}
	p.othersUntouched()
}

// knows reports whether each of some alerts is an incident to this replica.
func (b *box) knows(alerts []string) error {
	st, err := b.statusNow()
	if err != nil {
		return err
	}
	got := map[string]bool{}
	for _, inc := range st.Incidents {
		got[inc.Reading.Subject] = true
	}
	for _, name := range alerts {
		if !got[name] {
			return fmt.Errorf("%s is not known", name)
		}
	}
	if len(st.Thrown) != 1 {
		return fmt.Errorf("thrown: %+v", st.Thrown)
	}
	return nil
}

// restoreMember restores a stopped daemon's member as the run-book says, and
// returns the id of its cluster.
func (b *box) restoreMember(copied string) string {
	b.t.Helper()
	args := []string{"store", "restore", "--data", b.data, "--cluster.name", "story", "--cluster.initial-members", b.flag("--cluster.initial-members"), "--cluster.member-name", b.flag("--replica"), copied}
	out, err := exec.Command(ctl, args...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("%q: %v: %s", args, err, out)
	}
	_, id, ok := strings.Cut(string(out), "of the cluster with id ")
	if id, _, _ = strings.Cut(id, ":"); !ok || id == "" {
		b.t.Fatalf("%q must say the cluster's id:\n%s", args, out)
	}
	return id
}

// flag is the value of one of the daemon's flags.
func (b *box) flag(name string) string { b.t.Helper(); return b.flagOf(b.args, name) }

func (b *box) flagOf(args []string, name string) string {
	b.t.Helper()
	i := slices.Index(args, name)
	if i < 0 {
		b.t.Fatalf("%s is not among %q", name, args)
	}
	return args[i+1]
}
