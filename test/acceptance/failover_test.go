package acceptance

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signalbox/signalbox/test/servers"
)

func (p *production) wrote(want ...string) func() error {
	return func() error {
		if got := p.effects(); !slices.Equal(got, want) {
			return fmt.Errorf("effects: got %q, want %q", got, want)
		}
		return nil
	}
}

// Lag crosses its threshold: the endpoint is flipped once; the lag recovers
// and the old position is well for long enough: it is flipped back once. The
// journal explains both, and nothing else in the cluster changed.
func TestLagFlipsTheEndpointOnceAndBackOnce(t *testing.T) {
	t.Parallel()
	p, b := newProduction(t), newBox(t)
	p.configure(b, "auto", failover)
	b.start()
	b.watched()
	p.replica("a", 5)
	p.reads(5)
	b.eventually("the endpoint to be flipped", p.wrote(replicaB))
	p.reads(0.01)
	b.steadily(5*time.Second, "the old position is still ill", p.wrote(replicaB))
	id := string(b.status().Incidents[0].ID)
	p.replica("a", 0.01)
	b.eventually("the endpoint to be flipped back", p.wrote(replicaB, replicaA))
	b.eventually("the incident to end", func() error {
		if st := b.status(); len(st.Incidents) > 0 || len(st.Thrown) > 0 {
			return fmt.Errorf("open: %+v, thrown: %+v", st.Incidents, st.Thrown)
		}
		return nil
	})
	said := b.must("explain", id)
	for _, want := range []string{"intent", "receipt", "recovered", "read-endpoint to b", "read-endpoint to a", "incident.closed"} {
		if !strings.Contains(said, want) {
			t.Errorf("explain must tell %q:\n%s", want, said)
		}
	}
	b.steadily(2*time.Second, "nothing more is written", p.wrote(replicaB, replicaA))
	b.unpaged()
	p.othersUntouched()
}

// othersUntouched asserts that all but the endpoint is as it was.
func (p *production) othersUntouched() {
	p.t.Helper()
	maps := p.kube.Client(servers.Admin).CoreV1().ConfigMaps("core")
	own, err := maps.Get(p.t.Context(), "core-env", metav1.GetOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	other, err := maps.Get(p.t.Context(), "other-env", metav1.GetOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	if own.Data["OTHER"] != "kept" || len(own.Data) != 2 || other.Data[endpointKey] != replicaA || len(other.Annotations) != 0 {
		p.t.Errorf("something else changed: core-env %v, other-env %v %v", own.Data, other.Data, other.Annotations)
	}
}

// watched waits until the daemon has seen all detectors well: only onsets that
// it saw may be acted on.
func (b *box) watched() {
	b.t.Helper()
	b.eventually("good rounds of the source", func() error {
		body, err := b.metrics()
		if err != nil {
			return err
		}
		for _, line := range strings.Split(body, "\n") {
			if v, ok := strings.CutPrefix(line, `signalbox_poll_last_good_round_timestamp_seconds{source="metrics"} `); ok && v != "0" {
				return nil
			}
		}
		return fmt.Errorf("no good round yet")
	})
	b.steadily(3*time.Second, "all is well", func() error { return nil })
}

func TestUndoAskWaitsForAPerson(t *testing.T) {
	t.Parallel()
	p, b := newProduction(t), newBox(t)
	p.configure(b, "ask", failover)
	b.start()
	b.watched()
	p.reads(5)
	b.eventually("the endpoint to be flipped", p.wrote(replicaB))
	p.reads(0.01)
	b.steadily(8*time.Second, "it waits for a person's word", p.wrote(replicaB))
	st := b.status()
	if len(st.Incidents) != 1 || len(st.Thrown) != 1 || !strings.Contains(st.Thrown[0].ByHand, replicaA) {
		t.Fatalf("status must say what is thrown and how it is taken back by hand: %+v", st.Thrown)
	}
	b.must("undo", "--reason", "checked by hand", string(st.Incidents[0].ID))
	b.eventually("the endpoint to be flipped back", p.wrote(replicaB, replicaA))
}

func TestUnhealthyDestinationIsNotThrown(t *testing.T) {
	t.Parallel()
	p, b := newProduction(t), newBox(t)
	p.configure(b, "auto", failover)
	b.start()
	b.watched()
	p.replica("b", 7)
	p.reads(5)
	b.eventually("the owner to be paged", func() error {
		if n := len(b.pages("db/eu")); n != 1 {
			return fmt.Errorf("pages: got %d, want 1", n)
		}
		return nil
	})
	b.steadily(5*time.Second, "nothing is thrown", p.wrote())
	if n := len(b.pages("db/eu")); n != 1 {
		t.Errorf("pages: got %d, want 1", n)
	}
}

// Applied but still breached: undone, paged once with the record; after the
// second time automation on that target stops until it is released.
func TestIneffectiveIsUndoneAndStopsTheTarget(t *testing.T) {
	t.Parallel()
	p, b := newProduction(t), newBox(t)
	p.configure(b, "auto", failover)
	b.start()
	b.watched()
	want := []string{}
	for round := 1; round <= 3; round++ {
		p.reads(5)
		if round <= 2 {
			want = append(want, replicaB, replicaA)
		}
		b.eventually(fmt.Sprintf("round %d: the page, after what was done", round), func() error {
			if n := len(b.pages("db/eu")); n != round {
				return fmt.Errorf("pages: got %d, want %d", n, round)
			}
			return p.wrote(want...)()
		})
		p.reads(0.01)
		b.eventually("the incident to end", func() error {
			if n := len(b.status().Incidents); n > 0 {
				return fmt.Errorf("open: %d", n)
			}
			return nil
		})
		if round == 1 {
			b.word("restore", "policy/replica-failover") // it was demoted by what did not help
		}
	}
	first := b.pages("db/eu")[0]
	if text := fmt.Sprint(first.Events[0].Payload.Details); len(first.Events) < 1 || !strings.Contains(text, "not_recovered") {
		t.Errorf("the page must hold the record, got %s", text)
	}
	st := b.status()
	if len(st.Stopped) != 1 {
		t.Fatalf("stopped targets: got %v, want one", st.Stopped)
	}
	b.must("release", string(st.Stopped[0]))
	b.word("restore", "policy/replica-failover")
	p.reads(5)
	b.eventually("automation after the release", p.wrote(append(want, replicaB)...))
}

// The kill file and a pause, while a runbook is between two steps: it stops
// there, and says what is thrown.
func TestKillFileBetweenTwoSteps(t *testing.T) {
	t.Parallel()
	p, b := newProduction(t), newBox(t)
	p.configure(b, "never", `
  - name: two-steps
    on: reads-lag
    autonomy: auto
    runbook:
      - {flip: read-endpoint, to: b}
      - {flip: read-endpoint, to: a}
    verify: {within: 8s}
    guards: {cooldown: 0s, budget: [1000/day]}
`)
	b.start()
	b.watched()
	p.reads(5)
	b.eventually("the first step", p.wrote(replicaB))
	if err := os.WriteFile(b.data+"/kill", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.eventually("the page that tells what is thrown", func() error {
		pages := b.pages("remediates nothing")
		if len(pages) == 0 {
			return errors.New("no such page")
		}
		text := fmt.Sprint(pages[0].Events[0].Payload.Details)
		if !strings.Contains(text, "read-endpoint is at b") || !strings.Contains(text, "kubectl") {
			return fmt.Errorf("the page says %s", text)
		}
		return nil
	})
	b.steadily(12*time.Second, "the second step waits", p.wrote(replicaB))
	out := b.must("status")
	if !strings.Contains(out, "kill file") || !strings.Contains(out, "read-endpoint is at b") {
		t.Errorf("status must tell the kill file and what is thrown:\n%s", out)
	}
	b.must("pause", "--reason", "looking", "all")
	if err := os.Remove(b.data + "/kill"); err != nil {
		t.Fatal(err)
	}
	b.steadily(4*time.Second, "the pause holds it too", p.wrote(replicaB))
	b.must("resume", "all")
	b.eventually("the second step, once it may", p.wrote(replicaB, replicaA))
}

// A first start with much that is broken already: pages, grouped by owner, and
// no action.
func TestFirstStartWithFiftyBreaches(t *testing.T) {
	t.Parallel()
	p, b := newProduction(t), newBox(t)
	for i := range 50 {
		p.exporter.Set("reads_lag_seconds", 9, "cluster", fmt.Sprintf("c%02d", i), "env", "prod")
	}
	b.eventually("the metrics to be scraped", func() error { return p.count("count(reads_lag_seconds)", 51) })
	p.configure(b, "auto", failover)
	b.start()
	b.eventually("one page with all of them", func() error {
		incs := b.pager.Incidents()
		if len(incs) != 1 {
			return fmt.Errorf("pages: got %d, want 1", len(incs))
		}
		return nil
	})
	b.steadily(6*time.Second, "no action, and no second page", func() error {
		if n := len(b.pager.Incidents()); n != 1 {
			return fmt.Errorf("pages: got %d, want 1", n)
		}
		return p.wrote()()
	})
	if n := len(b.status().Incidents); n != 50 {
		t.Errorf("incidents: got %d, want 50", n)
	}
}
