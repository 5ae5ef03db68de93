package acceptance

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Three replicas read a new configuration one after the other, under load. One
// that has it already does not lead in the place of one that has the old one,
// which is in force: also when the leader is killed in between. Nothing that
// was acknowledged is lost, and the switch is flipped once by what is in force.
func TestReplicasReloadOneByOne(t *testing.T) {
	t.Parallel()
	p, h := newProduction(t), newHouse(t)
	h.write("alerts.yaml", alertSource)
	p.configure(h.box, "auto", onlooker)
	h.open()
	load := h.send("Reload")
	leader, others := h.leader()
	leader.watched()
	old := leader.status().Loaded
	p.configure(h.box, "auto", failover)
	early, late := others[0], others[1]
	early.rereads(old)
	h.eventually(early.name+" to tell that its configuration is another", func() error {
		if got := early.metric("signalbox_config_active") + late.metric("signalbox_config_active"); got != "01" {
			return fmt.Errorf("signalbox_config_active of the two: got %s, want 0, 1", got)
		}
		if out := early.must("status"); !strings.Contains(out, "this replica has another") {
			return errors.New(out)
		}
		return nil
	})
	leader.kill()
	if next := h.successor(leader); next != late {
		t.Errorf("%s leads with a configuration that is not in force, while %s has the one that is", next.name, late.name)
	}
	leader.launch()
	h.whole()
	late.rereads(old)
	h.eventually("all to agree on the new configuration", func() error {
		for _, b := range h.boxes {
			st, err := b.statusNow()
			if err != nil || st.Loaded == old || st.Config.Hash != st.Loaded || b.metric("signalbox_config_active") != "1" {
				return fmt.Errorf("%s has %s, and in force is %s %w", b.name, st.Loaded, st.Config.Hash, err)
			}
		}
		return nil
	})
	late.watched()
	p.reads(5)
	h.eventually("the endpoint to be flipped", p.wrote(replicaB))
	load.stop()
	h.eventually("all that was acknowledged to be an incident", load.allTaken)
	h.noneTwice()
}

// earlier is the state of this repository whose program is the older version. It
// moves on with a release.
const earlier = "0d5764b"

// theEarlier builds the older version. Without the repository's history it is
// this one.
func theEarlier(t *testing.T) string {
	t.Helper()
	source, program := t.TempDir(), filepath.Join(t.TempDir(), "signalbox")
	text, err := exec.Command("git", "-C", "../..", "archive", earlier).Output()
	if err != nil {
		t.Logf("LOUD: one version is replaced by itself: there is no commit %s here: %v", earlier, err)
		return binary
	}
	unpack := exec.Command("tar", "-x", "-C", source)
	unpack.Stdin = bytes.NewReader(text)
	build := exec.Command("go", "build", "-o", program, "./cmd/signalbox")
	build.Dir = source
	for _, cmd := range []*exec.Cmd{unpack, build} {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
	return program
}

// Three replicas of one version are replaced by those of another, one after the
// other, under load and with a switch thrown: nothing that was acknowledged is
// lost, and the switch is flipped once and taken back once.
func TestReplicasUpgradeOneByOne(t *testing.T) {
	t.Parallel()
	older := theEarlier(t)
	p, h := newProduction(t), newHouse(t)
	h.write("alerts.yaml", alertSource)
	p.configure(h.box, "auto", patient) // the flip can't help before the end
	for _, b := range h.boxes {
		b.program = older
	}
	h.open()
	leader, others := h.leader()
	leader.watched()
	load := h.send("Upgrade")
	p.replica("a", 5) // so that it is not taken back before all are replaced
	p.reads(5)
	h.eventually("the endpoint to be flipped", p.wrote(replicaB))
	for _, b := range append(others, leader) {
		b.stop()
		b.program = binary
		b.launch()
		h.whole()
		if err := p.wrote(replicaB)(); err != nil {
			t.Fatalf("%s was replaced: %v", b.name, err)
		}
	}
	p.reads(0.01)
	p.replica("a", 0.01)
	h.eventually("the endpoint to be flipped back", p.wrote(replicaB, replicaA))
	load.stop()
	h.eventually("all that was acknowledged to be an incident", load.allTaken)
	h.noneTwice()
	p.othersUntouched()
}
