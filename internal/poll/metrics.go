package poll

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	signalbox "github.com/signalbox/signalbox"
)

// The results of a round.
const (
	resultGood    = "good"
	resultUnknown = "unknown" // a series, or the whole detector, was Unknown
	resultLate    = "late"    // not begun, since the round before was still under way
)

// metrics are the package's own, by source.
type metrics struct {
	rounds    *prometheus.CounterVec
	lastGood  *prometheus.GaugeVec
	questions *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	lateness  *prometheus.HistogramVec
	lost      *prometheus.GaugeVec
	skew      *prometheus.GaugeVec
	delay     *prometheus.HistogramVec
	detectors prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	by := []string{"source"}
	m := &metrics{
		rounds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_poll_rounds_total", Help: "Rounds of detectors, by what came of them.",
		}, []string{"source", "result"}),
		lastGood: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "signalbox_poll_last_good_round_timestamp_seconds", Help: "When a detector of the source last had a round without anything unknown; 0: never.",
		}, by),
		questions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_poll_questions_total", Help: "Distinct questions asked.",
		}, by),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "signalbox_poll_ask_duration_seconds", Help: "How long it took until all questions of a round were answered or given up.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, by),
		lateness: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "signalbox_poll_round_lateness_seconds", Help: "How long after a round was due it was judged and told: its waiting, its asking and its judging.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, by),
		lost: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "signalbox_poll_source_unknown", Help: "1 while a detector of the source is unknown for longer than its bound.",
		}, by),
		skew: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "signalbox_poll_source_clock_skew_seconds", Help: "How far the clock of the source is ahead of ours, to about a second.",
		}, by),
		delay: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "signalbox_poll_sample_delay_seconds", Help: "How old the sample behind a reading was when it was judged.",
			Buckets: []float64{.1, .5, 1, 5, 10, 15, 30, 60, 120, 300, 900},
		}, by),
		detectors: prometheus.NewGauge(prometheus.GaugeOpts{Name: "signalbox_poll_detectors", Help: "Detectors that are polled."}),
	}
	r.MustRegister(m.rounds, m.lastGood, m.questions, m.seconds, m.lateness, m.lost, m.skew, m.delay, m.detectors)
	return m
}

// with makes the source's values up front, so that zeros show.
func (m *metrics) with(source string) {
	for _, result := range []string{resultGood, resultUnknown, resultLate} {
		m.rounds.WithLabelValues(source, result)
	}
	m.lastGood.WithLabelValues(source)
	m.questions.WithLabelValues(source)
	m.seconds.WithLabelValues(source)
	m.lateness.WithLabelValues(source)
	m.lost.WithLabelValues(source)
	m.delay.WithLabelValues(source)
}

func (m *metrics) without(source string) {
	gone := prometheus.Labels{"source": source}
	m.rounds.DeletePartialMatch(gone)
	m.lastGood.Delete(gone)
	m.questions.Delete(gone)
	m.seconds.Delete(gone)
	m.lateness.Delete(gone)
	m.lost.Delete(gone)
	m.skew.Delete(gone)
	m.delay.Delete(gone)
}

func (m *metrics) round(source, result string) { m.rounds.WithLabelValues(source, result).Inc() }

func (m *metrics) good(source string, at time.Time) {
	m.round(source, resultGood)
	m.lastGood.WithLabelValues(source).Set(float64(at.UnixNano()) / 1e9)
}

func (m *metrics) asked(source string, questions int, took time.Duration) {
	m.questions.WithLabelValues(source).Add(float64(questions))
	m.seconds.WithLabelValues(source).Observe(took.Seconds())
}

func (m *metrics) late(source string, by time.Duration) {
	m.lateness.WithLabelValues(source).Observe(max(0, by.Seconds()))
}

func (m *metrics) delays(source string, readings []signalbox.Reading) {
	observer := m.delay.WithLabelValues(source)
	for i := range readings {
		if r := &readings[i]; !r.SampleAt.IsZero() {
			observer.Observe(max(0, r.At.Sub(r.SampleAt).Seconds()))
		}
	}
}

func (m *metrics) unknown(source string, lost bool) {
	value := 0.0
	if lost {
		value = 1
	}
	m.lost.WithLabelValues(source).Set(value)
}
