package engine

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	signalbox "github.com/signalbox/signalbox"
)

// metrics are the engine's; every label value is there from the start.
type metrics struct {
	pagerFailing  *prometheus.GaugeVec
	leading       prometheus.Gauge
	standingBy    prometheus.Gauge
	configAgrees  prometheus.Gauge
	frozen        prometheus.Gauge
	received      prometheus.Counter
	refused       prometheus.Counter
	dropped       prometheus.Counter
	opened        prometheus.Counter
	controls      prometheus.Counter
	open          prometheus.Gauge
	inFlight      prometheus.Gauge
	thrown        prometheus.Gauge
	owed          prometheus.Gauge
	decideSeconds prometheus.Histogram
	closed        map[signalbox.End]prometheus.Counter
	decisions     map[signalbox.Verdict]prometheus.Counter
	actions       map[signalbox.Stage]prometheus.Counter
	outcomes      map[signalbox.Outcome]prometheus.Counter
	pages         map[string]prometheus.Counter
	looks         map[string]prometheus.Counter
	loopLast      *prometheus.GaugeVec
	loopErrors    *prometheus.CounterVec
	nextWorld     time.Time
	stale         bool // the State has changed since world counted it
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		leading:       gauge("leading", "1 while this process leads and its store answers."),
		standingBy:    gauge("standing_by", "1 while another replica leads, and this one would when it is gone."),
		configAgrees:  gauge("config_active", "1 while the configuration of this process is the one in force among the replicas."),
		frozen:        gauge("frozen", "1 while the store does not agree with what is kept outside of it, and nothing is started."),
		received:      counter("readings_received_total", "Readings of webhooks that were made durable."),
		refused:       counter("readings_refused_total", "Readings of webhooks that could not be made durable; their sender was told so."),
		dropped:       counter("readings_dropped_total", "Readings that did not fit among those that wait for the store."),
		opened:        counter("incidents_opened_total", "Incidents opened."),
		controls:      counter("controls_total", "Controls set by people."),
		open:          gauge("incidents_open", "Incidents that are open."),
		inFlight:      gauge("actions_in_flight", "Actions whose end is not known yet."),
		thrown:        gauge("targets_thrown", "Targets that stand where an action put them."),
		owed:          gauge("pages_owed", "Pages that the pager has not accepted yet."),
		decideSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "signalbox_decide_seconds", Help: "Time of one round of decisions.", Buckets: prometheus.ExponentialBuckets(1e-6, 4, 12)}),
		loopLast: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "signalbox_loop_last_success_timestamp_seconds", Help: "Time of the last good round of each loop.",
		}, []string{"loop"}),
		loopErrors: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "signalbox_loop_errors_total", Help: "Rounds of each loop that failed."}, []string{"loop"}),
	}
	m.closed = counters(reg, "incidents_closed_total", "Incidents closed, by how they ended.", "end",
		signalbox.Acted, signalbox.Suppressed, signalbox.Expired, signalbox.Failed, signalbox.Escalated)
	m.decisions = counters(reg, "decisions_total", "Decisions, by verdict.", "verdict", signalbox.Preview, signalbox.Act, signalbox.Hold,
		signalbox.Verify, signalbox.Settle, signalbox.Undo, signalbox.Escalate, signalbox.Resolve, signalbox.Ask, signalbox.Advance)
	m.actions = counters(reg, "actions_total", "Actions that reached a stage.", "stage",
		signalbox.Claimed, signalbox.Started, signalbox.Doubt, signalbox.Done, signalbox.Broken)
	m.outcomes = counters(reg, "action_outcomes_total", "What new evidence said of actions.", "outcome",
		signalbox.Recovered, signalbox.NotRecovered, signalbox.Unverified)
	m.looks = counters(reg, "evidence_looks_total", "New incidents that were to be looked around.", "result", "done", "passed over")
	m.pages = counters(reg, "page_events_total", "Events to the pager.", "result", "sent", "retried", "refused", "direct", "second")
	m.pagerFailing = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "signalbox_pager_failing", Help: "1 while the pager of an owner takes nothing."}, []string{"owner"})
	reg.MustRegister(m.pagerFailing)
	for _, loop := range []string{"decide", "inbox", "pages", "heartbeat", "archive", "commit", "lead", "marks"} {
		m.loopLast.WithLabelValues(loop)
		m.loopErrors.WithLabelValues(loop)
	}
	reg.MustRegister(m.leading, m.standingBy, m.configAgrees, m.frozen, m.received, m.refused, m.dropped, m.opened, m.controls, m.open, m.inFlight, m.thrown, m.owed,
		m.decideSeconds, m.loopLast, m.loopErrors)
	return m
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "signalbox_" + name, Help: help})
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: "signalbox_" + name, Help: help})
}

func counters[K ~string](reg prometheus.Registerer, name, help, label string, values ...K) map[K]prometheus.Counter {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "signalbox_" + name, Help: help}, []string{label})
	reg.MustRegister(vec)
	out := make(map[K]prometheus.Counter, len(values))
	for _, v := range values {
		out[v] = vec.WithLabelValues(string(v))
	}
	return out
}

func (m *metrics) loopDone(loop string, at time.Time) {
	m.loopLast.WithLabelValues(loop).Set(float64(at.UnixMilli()) / 1e3)
}

func (m *metrics) agrees(with bool) {
	if with {
		m.configAgrees.Set(1)
	} else {
		m.configAgrees.Set(0)
	}
}

func (m *metrics) loopFailed(loop string) { m.loopErrors.WithLabelValues(loop).Inc() }

// world counts what the State holds, where that has changed; at most once a
// second, since it looks at all of it.
func (m *metrics) world(s *signalbox.State, now time.Time) {
	if !m.stale || now.Before(m.nextWorld) {
		return
	}
	m.nextWorld, m.stale = now.Add(time.Second), false
	var open, inFlight, thrown, owed int
	for _, inc := range s.Incidents {
		if !inc.Closed() {
			open++
		}
	}
	for _, a := range s.Actions {
		if a.InFlight() {
			inFlight++
		}
	}
	for _, t := range s.Targets {
		if t.Thrown != "" {
			thrown++
		}
	}
	for _, p := range s.Pages {
		if p.Sent < p.Want {
			owed++
		}
	}
	m.open.Set(float64(open))
	m.inFlight.Set(float64(inFlight))
	m.thrown.Set(float64(thrown))
	m.owed.Set(float64(owed))
}
