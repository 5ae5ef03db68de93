// Package loki is the kind of source and detector that asks Grafana Loki: for
// the value of a LogQL expression, judged against two thresholds, or for the
// lines of a log, out of which ids are read under a strict pattern.
//
//	Settings           settings.go   the keys of a source
//	Source             source.go     asks: one instant query a question (value.go), or the pages of a stream (stream.go)
//	question           question.go   what is asked of a stream, as one text
//	DetectorSettings   detector.go   the keys of a detector; those of logs in logs.go
//	shape              query.go      what can be told of a LogQL expression without Loki's parser
//	detector           judge.go      pure: the value of a query, to readings
//	glance             look.go      lines around an incident, reduced to listed fields, for people
//	follower           follow.go     pure: the lines of a stream, to readings; ids.go, gap.go
//
// # Values
//
// Loki tells no time of a value but that of its evaluation, and where no line
// matches it tells no value at all. So a value stands for the whole window that
// it counts over, an empty answer is Unknown unless presence proves that the
// log is written, and a low value without that proof is Unknown too.
//
// # Streams
//
// What is read of a stream at the moment `at` is [good-back, at), where good is
// the moment of the last round in which everything was known, also before a
// restart, and back is window and delay together. So ranges follow one another
// without a gap; and where the last of some lines within a window comes late,
// by at most delay, the range in which it is first seen has all of them.
//
// Ranges overlap, and yet each id is told once. Within an incident an id is
// told that is not yet among its Items. Between incidents: a series is Breached
// for as long as an id that was told is in the range, and its incident stays
// open for a minute longer (leastKeep), which is more than the age of a durable
// good moment at a restart. So when it ends, what was told in it lies before
// every range to come.
//
// A round that is not wholly known moves good no further: its range is read
// again, and longer. Where that would reach back further than max_lookback, the
// log in between is never read, and is told to be so.
package loki

import "github.com/signalbox/signalbox/internal/kind"

// Kind is this package's line in the table of detectors.
func Kind() kind.Source {
	return kind.Source{
		Name:     "loki",
		Settings: func() kind.Settings { return newSettings() },
		Detector: func() kind.DetectorSettings { return &DetectorSettings{} },
		Look:     func() kind.LookSettings { return &LookSettings{} },
		Open: func(name string, s kind.Settings, env kind.Env) (any, error) {
			return open(name, s.(*Settings), env)
		},
	}
}
