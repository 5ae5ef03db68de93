package sandbox

import (
	"math"
	"time"
)

// fault is a set of things that are broken.
type fault uint8

const (
	replicaAStalled fault = 1 << iota // replay of the write-ahead log stands still
	replicaBStalled
	pspDegraded    // the provider refuses most webhooks and payouts
	mainPOPFailing // the POP fra of the main CDN provider answers 503 to many
)

func (f fault) has(g fault) bool { return f&g != 0 }

// Values of the switches that mean something to the company.
const (
	endpointA = "pg-a.data-plane:5432"
	endpointB = "pg-b.data-plane:5432"
	cdnMain   = "main.cdn.example"
	cdnBackup = "backup.cdn.example"
)

// The physics of the company.
const (
	baseLag       = 0.020           // seconds, of a replica that is well
	lagRipple     = 0.008           // seconds, around baseLag
	catchUp       = 4.0             // seconds of lag that a second of replay takes off
	reconnectTime = time.Second     // until readers have followed the switch
	webhookRate   = 20.0            // a second
	webhookPower  = 60.0            // deliveries tried a second
	payoutRate    = 4.0             // a second
	pspWell       = 0.004           // ratio of tries that fail
	pspIll        = 0.93            //
	popRate       = 300.0           // requests a second and POP
	popWell       = 0.002           // ratio of requests that fail
	popIll        = 0.34            //
	readsWell     = 0.0005          // ratio of reads that fail
	maxStep       = 5 * time.Second // longer gaps (a suspended machine) are not simulated
)

// The POPs, and the one that fails.
const (
	popFRA = iota
	popLHR
	popIAD
	popCount
)

// inputs is what the world does to the company during one step.
type inputs struct {
	faults   fault
	endpoint string // value of read-endpoint
	provider string // value of cdn-provider
}

// state is the company at one moment. It is a plain value: copying it copies
// all of it.
type state struct {
	uptime time.Duration
	faults fault

	behind    [2]float64    // seconds of lag beyond the base, replicas a and b
	readers   string        // the endpoint that readers are connected to
	switching time.Duration // for how long the switch has named another

	waiting        float64 // webhooks in the queue
	delivered      float64 // webhooks since the start
	failed         float64 // tries of webhooks since the start
	payouts        float64 // created since the start
	payoutsFailed  float64
	provider       string // the CDN provider that takes the traffic
	requests       [popCount]float64
	requestsFailed [popCount]float64
}

// atRest is the company before anything has happened.
func atRest() state { return state{readers: endpointA, provider: cdnMain} }

// step is the company dt later, while in held. It is pure, and linear in dt
// but for its limits.
func (s state) step(in inputs, dt time.Duration) state {
	dt = max(0, min(dt, maxStep))
	s.uptime += dt
	s.faults = in.faults
	s.replicate(dt.Seconds())
	s.reconnect(in.endpoint, dt)
	s.deliver(dt.Seconds())
	s.provider = in.provider
	for pop := range popCount {
		n := popRate * dt.Seconds()
		s.requests[pop] += n
		s.requestsFailed[pop] += n * s.popErrors(pop)
	}
	return s
}

func (s *state) replicate(seconds float64) {
	for i, stalled := range [2]fault{replicaAStalled, replicaBStalled} {
		if s.faults.has(stalled) {
			s.behind[i] += seconds
		} else {
			s.behind[i] = max(0, s.behind[i]-catchUp*seconds)
		}
	}
}

// reconnect lets the readers follow the switch once it has stood for a moment.
func (s *state) reconnect(endpoint string, dt time.Duration) {
	if endpoint == s.readers {
		s.switching = 0
		return
	}
	if s.switching += dt; s.switching >= reconnectTime {
		s.readers, s.switching = endpoint, 0
	}
}

// deliver takes webhooks in and tries to deliver what waits.
func (s *state) deliver(seconds float64) {
	bad := s.pspErrors()
	s.waiting += webhookRate * seconds
	done := min(s.waiting, webhookPower*seconds*(1-bad))
	s.waiting -= done
	s.delivered += done
	s.failed += done * bad / (1 - bad)
	s.payouts += payoutRate * seconds
	s.payoutsFailed += payoutRate * seconds * bad
}

// lag is how far replica i (0 is a) is behind, in seconds.
func (s state) lag(i int) float64 {
	phase := s.uptime.Seconds()/5 + float64(i)
	return s.behind[i] + baseLag + lagRipple*math.Sin(phase)
}

// readsLag is the lag that readers see, in seconds; ok is false where they
// reach no replica.
func (s state) readsLag() (lag float64, ok bool) {
	switch s.readers {
	case endpointA:
		return s.lag(0), true
	case endpointB:
		return s.lag(1), true
	}
	return 0, false
}

// readsErrors is the ratio of reads that fail.
func (s state) readsErrors() float64 {
	if _, ok := s.readsLag(); !ok {
		return 1
	}
	return readsWell
}

// pspErrors is the ratio of tries that the payment service provider refuses.
func (s state) pspErrors() float64 {
	if s.faults.has(pspDegraded) {
		return pspIll
	}
	return pspWell
}

// webhookAge is how long the oldest webhook has waited, in seconds: they come
// at a constant rate, and the queue is first in, first out.
func (s state) webhookAge() float64 { return s.waiting / webhookRate }

// popErrors is the ratio of requests that fail at a POP, as visitors see it.
func (s state) popErrors(pop int) float64 {
	switch s.provider {
	case cdnMain:
		return s.providerErrors(cdnMain, pop)
	case cdnBackup:
		return s.providerErrors(cdnBackup, pop)
	}
	return 1
}

// providerErrors is what a probe of one provider's POP sees, with or without
// traffic on it.
func (s state) providerErrors(provider string, pop int) float64 {
	if provider == cdnMain && pop == popFRA && s.faults.has(mainPOPFailing) {
		return popIll
	}
	return popWell
}
