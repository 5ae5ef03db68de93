package acceptance

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// One daemon with its embedded store becomes three, by the commands that the docs
// name, with a switch thrown and alerts open: they are there on all three, the
// switch is thrown once and taken back once, nothing is frozen. Then it becomes
// one again, with all that came meanwhile.
func TestOneDaemonGrowsToThree(t *testing.T) {
	t.Parallel()
	p, boxes := newProduction(t), newCluster(t)
	p.configure(boxes[0], "auto", failover)
	boxes[0].write("alerts.yaml", alertSource)
	first, whole := boxes[0], slices.Clone(boxes[0].args)
	first.args = []string{"--replica", "a", "--store.lease", "2s"}
	first.start()
	first.watched()
	first.taken("TakenAlone")
	p.reads(5)
	first.eventually("the endpoint to be flipped", p.wrote(replicaB))
	first.stop()

	entries := strings.Split(first.flagOf(whole, "--cluster.initial-members"), ",")
	first.args = with(whole, "--cluster.initial-members", entries[0])
	first.start()
	first.stop()
	first.args = whole // from here on it begins nothing by itself
	first.start()
	for i, b := range boxes[1:] {
		name, address, _ := strings.Cut(entries[i+1], "=")
		first.eventually(name+" to be added", func() error { // not before the members have seen each other for 5 s
			if out, code := first.operate("store", "members", "add", "--reason", "three of us", name, address); code != 0 {
				return fmt.Errorf("exit code %d: %s", code, out)
			}
			return nil
		})
		b.args = append(with(b.args, "--cluster.initial-members", strings.Join(entries[:i+2], ",")), "--cluster.join")
		b.start()
		first.eventually(name+" to vote", func() error {
			if out := first.must("store", "members"); strings.Count(out, " ok\n") != i+2 || strings.Contains(out, "learner") {
				return fmt.Errorf("%s", out)
			}
			return nil
		})
	}
	second := boxes[1] // which joined when there was no third
	second.stop()
	second.args = with(second.args, "--cluster.initial-members", strings.Join(entries, ","))
	second.launch()
	for _, b := range boxes {
		b.eventually("its member to serve", b.serving)
	}
	for _, b := range boxes {
		b.taken("TakenBy" + b.flag("--replica"))
	}
	leader, _ := leads(boxes...)
	if out := leader.must("store", "status"); strings.Contains(out, "FROZEN") {
		t.Fatalf("growing has frozen it:\n%s", out)
	}
	for _, name := range []string{"TakenAlone", "TakenBya", "TakenByb", "TakenByc"} {
		leader.eventually(name+" to be paged once", leader.pagedOnce(name, backendKey, "triggered"))
	}
	p.reads(0.01)
	leader.eventually("the endpoint to be flipped back", p.wrote(replicaB, replicaA))
	shrinks(t, first, boxes[1:])
	first.taken("TakenByOne")
	first.eventually("it to be paged", first.pagedOnce("TakenByOne", backendKey, "triggered"))
	if err := first.pagedOnce("TakenAlone", backendKey, "triggered")(); err != nil {
		t.Error(err)
	}
	if out := first.must("store", "status"); strings.Contains(out, "FROZEN") {
		t.Errorf("shrinking has frozen it:\n%s", out)
	}
	p.othersUntouched()
	first.noneTwice()
}

// shrinks makes one the only member, and has it lead.
func shrinks(t *testing.T, one *box, others []*box) {
	t.Helper()
	for { // changes go through the leader; who leads next is not ours to say
		leader, _ := leads(append([]*box{one}, others...)...)
		if leader == one {
			break
		}
		leader.stop()
		one.eventually("another to lead", func() error {
			for _, b := range append([]*box{one}, others...) {
				if b.cmd == nil {
					continue
				}
				if st, err := b.statusNow(); err == nil && st.Leading {
					return nil
				}
			}
			return errors.New("nobody leads")
		})
		leader.launch()
		leader.eventually("its member to serve", leader.serving)
	}
	for _, b := range others {
		one.eventually("it is removed", func() error {
			if out, code := one.operate("store", "members", "remove", "--reason", "one will do", b.flag("--replica")); code != 0 {
				return fmt.Errorf("exit code %d: %s", code, out)
			}
			return nil
		})
		b.kill()
		if err := os.RemoveAll(b.data); err != nil {
			t.Fatal(err)
		}
	}
	one.eventually("it serves alone", func() error {
		if got := one.metric("signalbox_store_members"); got != "1" {
			return fmt.Errorf("members: %s", got)
		}
		return nil
	})
	one.stop()
	one.args = with(one.args, "--cluster.initial-members", strings.Split(one.flag("--cluster.initial-members"), ",")[0])
	one.start()
}

// with returns arguments of which one flag has another value.
func with(args []string, name, value string) []string {
	args = slices.Clone(args)
	args[slices.Index(args, name)+1] = value
	return args
}
