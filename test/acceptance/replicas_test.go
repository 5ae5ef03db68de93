package acceptance

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/store/etcd"
)

// Three daemons on one etcd: one leads and asks. The others stand by, take
// webhooks in for it, tell what it does, and refuse what would change something
// with its name. None of them says that the store is away.
func TestReplicasOneLeads(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	exporter := queueSource(t, h.box)
	h.open()
	leader, others := h.leader()
	leader.watched()
	if got := leader.metric("signalbox_poll_detectors"); got == "0" {
		t.Error("the leader asks nothing")
	}
	began := time.Now()
	for i, b := range others {
		if got := b.metric("signalbox_leading") + b.metric("signalbox_standing_by") + b.metric("signalbox_poll_detectors"); got != "010" {
			t.Errorf("%s: leading, standing by and detectors asked: got %s, want 0, 1, 0", b.name, got)
		}
		b.must("ready")
		b.answersPost(http.StatusOK, "firing", fmt.Sprintf("Taken%d", i), began)
	}
	exporter.Set("queue_depth", 500, "queue", "psp")
	h.eventually("what the leader asked to be paged", h.pagedOnce("queue/psp", devopsKey, "triggered"))
	for i := range others {
		h.eventually("what a standby took to be paged", h.pagedOnce(fmt.Sprintf("Taken%d", i), backendKey, "triggered"))
	}
	id := string(leader.status().Incidents[0].ID)
	for _, b := range others {
		b.tellsOfItsLeader(leader, id)
	}
	leader.must("pause", "--reason", "looking", "all")
	for _, b := range others {
		h.eventually("a standby to tell the leader's pause", func() error {
			if out := b.must("status"); !strings.Contains(out, "looking") {
				return errors.New(out)
			}
			return nil
		})
	}
	h.steadily(35*time.Second, "no standby says that the store is away", func() error {
		if n := len(h.pages("has no store")); n != 0 {
			return fmt.Errorf("pages about a store: %d", n)
		}
		return nil
	})
	if n := len(h.pager.Incidents()); n != 3 {
		t.Errorf("pages: got %d, want 3", n)
	}
	h.noneTwice()
}

// tellsOfItsLeader wants that a standby tells who leads and what is open, and
// refuses each control with the leader's name.
func (b *box) tellsOfItsLeader(leader *box, incident string) {
	b.t.Helper()
	b.eventually(b.name+" to know what the leader knows", func() error {
		st, err := b.statusNow()
		if err != nil || st.Leader != leader.name || !st.StandsBy || st.Leading || len(st.Incidents) != 3 || len(st.Present) != 3 {
			return fmt.Errorf("it says %+v %w", st, err)
		}
		return nil
	})
	if out := b.must("status"); !strings.Contains(out, "stands by: "+leader.name+" leads") {
		b.t.Errorf("status of %s must say who leads:\n%s", b.name, out)
	}
	b.explains(incident, "incident.opened")
	for _, args := range [][]string{
		{"pause", "--reason", "x", "all"},
		{"kill", "--reason", "x"},
		{"acknowledge", incident},
		{"take", "--reason", "x", "incident/" + incident},
		{"undo", incident},
		{"resume", "all"},
		{"eta", incident, "45m"},
	} {
		if out, code := b.operate(args...); code != 1 || !strings.Contains(out, leader.name) {
			b.t.Errorf("%s: %v: got exit code %d: %s; want a refusal that names %s", b.name, args, code, out, leader.name)
		}
	}
}

// The leader is killed with a write on its way: its successor acts once, and the
// late write, which comes after that, is refused (that the seal alone refuses one
// is shown by internal/setting). Killed after the effect and before
// its receipt: there is no second one. The API server's own log says so.
func TestReplicasLeaderIsKilledWhileItActs(t *testing.T) {
	t.Parallel()
	p, h := newProduction(t), newHouse(t)
	p.quick = true
	p.configure(h.box, "auto", strings.Replace(patient, "after_healthy: 3s", "after_healthy: 1s", 1))
	h.open()
	leader, _ := h.leader()
	leader.watched()
	var want []string
	for _, after := range []bool{false, true, false, true} {
		want = append(want, replicaB)
		held := p.slow.holdNextWrite(after)
		p.reads(5)
		h.eventually("the write to be on its way", held.isHere)
		leader.kill()
		next := h.successor(leader)
		if after {
			close(held.release)
			held.answered(t)
		} else {
			h.eventually("the effect", p.wrote(want...))
			close(held.release)
			if code := held.answered(t); code != http.StatusConflict {
				t.Errorf("the late write was answered %d, want 409", code)
			}
		}
		h.eventually("one effect, and what came of it", func() error {
			for _, inc := range next.status().Incidents {
				if inc.Verdict == "verify" || inc.Outcome != "" {
					return p.wrote(want...)()
				}
			}
			return errors.New("not verified yet")
		})
		leader.launch()
		p.reads(0.01)
		want = append(want, replicaA)
		h.eventually("the endpoint to go back", p.wrote(want...))
		h.eventually("everything to end", next.allEnded)
		h.whole()
		leader, _ = h.leader()
	}
	h.unpaged()
	p.othersUntouched()
}

// A pause and the kill switch hold on whoever leads, and so does the kill file
// of the one that does.
func TestReplicasControlsOutliveTheLeader(t *testing.T) {
	t.Parallel()
	p, h := newProduction(t), newHouse(t)
	p.configure(h.box, "auto", failover)
	h.open()
	leader, _ := h.leader()
	leader.watched()
	leader.must("pause", "--reason", "looking", "all")
	p.reads(5)
	h.eventually("the breach", func() error { return leader.opened("reads-lag")() })
	leader.kill()
	next := h.successor(leader)
	h.eventually("the breach, at the successor", func() error { return next.waitsFor("pause")() })
	next.must("kill", "--reason", "enough")
	leader.launch()
	h.whole()
	next.stop()
	last := h.successor(next)
	h.steadily(5*time.Second, "pause and kill switch hold", p.wrote())
	if out := last.must("status"); !strings.Contains(out, "enough") || !strings.Contains(out, "looking") {
		t.Errorf("status must tell both:\n%s", out)
	}
	kill := filepath.Join(last.data, "kill")
	if err := os.WriteFile(kill, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.eventually("the kill file to be seen", func() error {
		if last.status().KillFile == "" {
			return errors.New("not yet")
		}
		return nil
	})
	last.must("resume", "all")
	if out, code := last.operate("resume", "all"); code == 0 { // the pause had the same scope
		t.Errorf("a second resume is of nothing, got %s", out)
	}
	h.steadily(5*time.Second, "the kill file holds", p.wrote())
	if err := os.Remove(kill); err != nil {
		t.Fatal(err)
	}
	h.eventually("the endpoint to be flipped, once it may", p.wrote(replicaB))
}

// etcd stops where it is: nobody leads, nothing is acknowledged or thrown, and
// what is ill is paged straight, as one. It goes on: one leads, acts once, and
// the page is that of its incident.
func TestReplicasStoreStops(t *testing.T) {
	t.Parallel()
	p, h := newProduction(t), newHouse(t)
	p.configure(h.box, "auto", patient)
	h.write("alerts.yaml", alertSource)
	h.open()
	leader, _ := h.leader()
	h.beats("that the lag was well", leader, func(beat *signalbox.Heartbeat) bool { return !beat.Good["reads-lag"].IsZero() })
	h.eventually("the others to know it", func() error {
		for _, b := range h.boxes {
			if st, err := b.statusNow(); err != nil || st.Config.Hash == "" {
				return fmt.Errorf("%s knows nothing %w", b.name, err)
			}
		}
		return nil
	})
	h.etcd.Pause()
	for _, b := range h.boxes {
		b.notReady()
	}
	p.reads(5)
	for _, b := range h.boxes {
		b.answersPost(http.StatusServiceUnavailable, "firing", "TestStops", time.Now())
	}
	h.eventually("the breach to be paged straight, as one", func() error {
		if n := len(h.pages("db/eu")); n != 1 {
			return fmt.Errorf("pages: got %d, want 1", n)
		}
		return nil
	})
	if err := p.wrote()(); err != nil {
		t.Fatalf("without a store nothing is thrown: %v", err)
	}
	h.etcd.Resume()
	h.whole()
	h.eventually("the endpoint to be flipped", p.wrote(replicaB))
	p.reads(0.01)
	h.eventually("the endpoint to be flipped back", p.wrote(replicaB, replicaA))
	h.eventually("each page to be resolved", func() error {
		for _, inc := range h.pager.Incidents() {
			if inc.Status != "resolved" && !strings.Contains(fmt.Sprint(inc.Events[0].Payload.Summary), "TestStops") {
				return fmt.Errorf("%s is %s", inc.Events[0].Payload.Summary, inc.Status)
			}
		}
		return nil
	})
}

// The leadership is handed over again and again, by kill -9 and in good order,
// under load: what was acknowledged is an incident, once. How long nobody leads
// is logged. After a kill it is not judged; a stop in good order must not leave
// the others to wait for its lease, which is long there.
func TestReplicasHandOver(t *testing.T) {
	t.Parallel()
	const long = time.Minute
	t.Run("kill -9", func(t *testing.T) { handsOver(t, etcd.DefaultTTL, (*box).kill) })
	t.Run("SIGTERM", func(t *testing.T) {
		if most := handsOver(t, long, (*box).stop); most > long/2 {
			t.Errorf("nobody led for %v after a stop in good order, with a lease of %v: it was not resigned", most, long)
		}
	})
}

// handsOver ends the leader of three again and again, and returns the longest
// time in which nobody led.
func handsOver(t *testing.T, lease time.Duration, end func(*box)) time.Duration {
	t.Helper()
	h := newHouseOf(t, lease)
	h.write("alerts.yaml", alertSource)
	h.open()
	load := h.send("Load")
	var gaps []time.Duration
	for range handovers(t) {
		leader, _ := h.leader()
		from := time.Now()
		end(leader)
		h.successor(leader)
		gaps = append(gaps, time.Since(from))
		leader.launch()
		h.whole()
	}
	p50, most := spread(gaps)
	t.Logf("%d times: nobody led for %v (p50), %v (max), with a lease of %v", len(gaps), p50, most, lease)
	load.stop()
	h.eventually("all that was acknowledged to be an incident", load.allTaken)
	t.Logf("%d alerts were acknowledged, in %d requests", len(load.taken), load.tries)
	if n := len(h.pages("has no store")); n != 0 {
		t.Errorf("pages about a store: %d", n)
	}
	h.noneTwice()
	return most
}

// handovers is how often each is repeated: three times, or as SIGNALBOX_CRASHES
// says.
func handovers(t *testing.T) int {
	t.Helper()
	if os.Getenv("SIGNALBOX_CRASHES") == "" {
		return 3
	}
	return crashes(t)
}

// rereads has a daemon read its configuration again, and waits until it has.
func (b *box) rereads(want string) {
	b.t.Helper()
	if err := b.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		b.t.Fatal(err)
	}
	b.eventually(b.name+" to have another configuration", func() error {
		st, err := b.statusNow()
		if err != nil || st.Loaded == want {
			return fmt.Errorf("it has %s %w", st.Loaded, err)
		}
		return nil
	})
}
