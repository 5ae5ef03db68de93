package outward

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the figures of this package. They outlive reloads.
type Metrics struct {
	pushed   prometheus.Counter
	dropped  *prometheus.CounterVec
	queue    prometheus.Gauge
	sequence prometheus.Gauge
	errors   *prometheus.CounterVec

	annotated   prometheus.Counter
	notTold     prometheus.Counter
	annotations prometheus.Gauge
	noteErrors  prometheus.Counter
}

// Why entries are dropped, and at which step something failed.
const (
	droppedOverflow = "overflow" // more waited than may
	droppedRefused  = "refused"  // Loki does not take it
	droppedArchived = "archived" // it is in another replica's archive only

	stepRead = "read" // the journal, or its mark
	stepMark = "mark" // the mark could not be put
	stepAsk  = "ask"  // Loki did not say which lines it has
	stepPush = "push"
)

// NewMetrics registers the metrics, with all their labels.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		pushed:   prometheus.NewCounter(prometheus.CounterOpts{Name: "signalbox_audit_pushed_total", Help: "Entries of the journal that Loki has acknowledged."}),
		dropped:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "signalbox_audit_dropped_total", Help: "Entries of the journal that Loki will not get, by reason."}, []string{"reason"}),
		queue:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "signalbox_audit_queue_entries", Help: "Entries of the journal that wait to be pushed to Loki."}),
		sequence: prometheus.NewGauge(prometheus.GaugeOpts{Name: "signalbox_audit_sequence", Help: "Number of the journal's entry up to which Loki has been told."}),
		errors:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "signalbox_audit_errors_total", Help: "Failures on the way to Loki, by step; each is tried again."}, []string{"step"}),

		annotated:   prometheus.NewCounter(prometheus.CounterOpts{Name: "signalbox_annotations_told_total", Help: "States of actions that were told to the sources that keep annotations."}),
		notTold:     prometheus.NewCounter(prometheus.CounterOpts{Name: "signalbox_annotations_dropped_total", Help: "States of actions that were not told: too many waited, or it failed for too long."}),
		annotations: prometheus.NewGauge(prometheus.GaugeOpts{Name: "signalbox_annotations_queue_actions", Help: "Actions whose state waits to be told."}),
		noteErrors:  prometheus.NewCounter(prometheus.CounterOpts{Name: "signalbox_annotations_errors_total", Help: "Annotations that failed; each is tried again."}),
	}
	for _, reason := range []string{droppedOverflow, droppedRefused, droppedArchived} {
		m.dropped.WithLabelValues(reason)
	}
	for _, step := range []string{stepRead, stepMark, stepAsk, stepPush} {
		m.errors.WithLabelValues(step)
	}
	reg.MustRegister(m.pushed, m.dropped, m.queue, m.sequence, m.errors, m.annotated, m.notTold, m.annotations, m.noteErrors)
	return m
}
