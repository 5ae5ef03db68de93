package sandbox

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const testTick = 500 * time.Millisecond

// live steps s for d with the same inputs.
func live(s state, in inputs, d time.Duration) state {
	for ; d > 0; d -= testTick {
		s = s.step(in, min(d, testTick))
	}
	return s
}

var well = inputs{endpoint: endpointA, provider: cdnMain}

func with(f fault) inputs {
	in := well
	in.faults = f
	return in
}

func readsLagOf(t *testing.T, s state) float64 {
	t.Helper()
	lag, ok := s.readsLag()
	if !ok {
		t.Fatalf("readers reach no replica, at %q", s.readers)
	}
	return lag
}

func TestAtRestNothingIsIll(t *testing.T) {
	s := live(atRest(), well, 10*time.Minute)
	if lag := readsLagOf(t, s); lag > 0.1 {
		t.Errorf("reads are %v behind at rest", lag)
	}
	if s.webhookAge() > 0.5 || s.worstPOP() > 0.01 || s.readsErrors() > 0.01 {
		t.Errorf("webhooks %vs old, POP errors %v, reads errors %v at rest", s.webhookAge(), s.worstPOP(), s.readsErrors())
	}
}

func TestFlippingReadersAwayFromAStalledReplicaHelps(t *testing.T) {
	s := live(atRest(), with(replicaAStalled), 5*time.Second)
	if lag := readsLagOf(t, s); lag < 4.9 || lag > 5.1 {
		t.Fatalf("after 5s without replay reads are %v behind", lag)
	}
	flipped := with(replicaAStalled)
	flipped.endpoint = endpointB
	s = live(s, flipped, reconnectTime)
	if lag := readsLagOf(t, s); lag > 0.1 {
		t.Errorf("after the flip reads are still %v behind", lag)
	}
	if s.lag(0) < 5.9 {
		t.Errorf("the flip healed the replica too: it is %v behind", s.lag(0))
	}
	flipped.faults = 0
	s = live(s, flipped, 3*time.Second)
	if s.lag(0) > 0.1 {
		t.Errorf("3s after it replays again, replica a is %v behind", s.lag(0))
	}
}

func TestFlippingDoesNotHelpWhenBothReplicasStall(t *testing.T) {
	in := with(replicaAStalled | replicaBStalled)
	s := live(atRest(), in, 5*time.Second)
	in.endpoint = endpointB
	if lag := readsLagOf(t, live(s, in, 2*time.Second)); lag < 6 {
		t.Errorf("reads are only %v behind", lag)
	}
}

func TestReadersFollowASwitchThatStands(t *testing.T) {
	s := live(atRest(), well, time.Second)
	away, ticks := well, 0
	away.endpoint = endpointB
	for s.readers != endpointB && ticks < 10 {
		s = s.step(away, testTick)
		ticks++
	}
	if want := int(reconnectTime / testTick); ticks != want {
		t.Errorf("readers followed after %d steps, want %d", ticks, want)
	}
	s = s.step(well, testTick).step(away, testTick).step(well, testTick)
	if s.readers != endpointB {
		t.Error("readers followed a switch that did not stand still")
	}
}

func TestAnEndpointThatNamesNothingFailsAllReads(t *testing.T) {
	lost := well
	lost.endpoint = "pg-c.data-plane:5432"
	s := live(atRest(), lost, 2*time.Second)
	if s.readsErrors() != 1 {
		t.Errorf("reads errors %v, want 1", s.readsErrors())
	}
	for _, m := range s.samples() {
		if m.labels.Get("__name__") == "reads_lag_seconds" {
			t.Error("readers that reach no replica report a lag")
		}
	}
}

func TestWebhooksPileUpAndDrain(t *testing.T) {
	s := live(atRest(), with(pspDegraded), 14*time.Second)
	if s.waiting < 200 || s.webhookAge() < 10 {
		t.Fatalf("after 14s of refusals %v webhooks wait, the oldest %vs", s.waiting, s.webhookAge())
	}
	if s = live(s, well, 8*time.Second); s.webhookAge() > 0.5 {
		t.Errorf("8s later the oldest still waits for %vs", s.webhookAge())
	}
}

func TestTheCDNAnswersToItsSwitch(t *testing.T) {
	in := with(mainPOPFailing)
	s := live(atRest(), in, time.Second)
	if s.worstPOP() != popIll {
		t.Fatalf("errors %v while a POP fails, want %v", s.worstPOP(), popIll)
	}
	in.provider = cdnBackup
	if s = live(s, in, time.Second); s.worstPOP() > 0.01 {
		t.Errorf("errors %v at the backup", s.worstPOP())
	}
	if s.providerErrors(cdnMain, popFRA) != popIll {
		t.Error("the probe of the main provider no longer sees the failure")
	}
	in.provider = "nowhere"
	if s = live(s, in, time.Second); s.worstPOP() != 1 {
		t.Errorf("errors %v with a provider that is none, want 1", s.worstPOP())
	}
}

// Whatever happens, the company stays possible, and is the same each time.
func TestStepInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := atRest()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			in := inputs{
				faults:   fault(rapid.Uint8Range(0, 15).Draw(t, "faults")),
				endpoint: rapid.SampledFrom([]string{endpointA, endpointB, "", "x"}).Draw(t, "endpoint"),
				provider: rapid.SampledFrom([]string{cdnMain, cdnBackup, "", "x"}).Draw(t, "provider"),
			}
			dt := time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, "dt"))
			next := s.step(in, dt)
			if next != s.step(in, dt) {
				t.Fatal("the same step gave two states")
			}
			possible(t, s, next)
			s = next
		}
	})
}

func possible(t *rapid.T, was, is state) {
	if is.uptime < was.uptime || is.uptime > was.uptime+maxStep {
		t.Fatalf("uptime went from %v to %v", was.uptime, is.uptime)
	}
	if is.waiting < 0 || is.delivered < was.delivered || is.failed < was.failed || is.payouts < was.payouts {
		t.Fatalf("a count went down: %+v, then %+v", was, is)
	}
	for _, m := range is.samples() {
		if math.IsNaN(m.value) || math.IsInf(m.value, 0) || m.value < 0 {
			t.Fatalf("%v is %v", m.labels, m.value)
		}
		if name := m.labels.Get("__name__"); len(name) > 6 && name[len(name)-6:] == "_ratio" && m.value > 1 {
			t.Fatalf("%v is %v", m.labels, m.value)
		}
	}
}
