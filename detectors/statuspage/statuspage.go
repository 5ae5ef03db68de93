// Package statuspage is the kind of source and detector that reads what a
// public status page (Atlassian Statuspage, and what answers like it) says of
// others: of a payment provider, of a CDN. It is a corroborating signal: people
// write these pages, so they are late, and one alone is seldom a reason to act.
//
//	Settings           settings.go   the keys of a source
//	Source             source.go     reads /api/v2/summary.json, once for all its detectors
//	summary            summary.go    what is taken of the answer, as samples
//	DetectorSettings   detector.go   the keys of a detector: a component, or the whole page
//	detector           judge.go      pure: samples to one reading; words.go holds the page's words
//
// A page does not say how old it is: page.updated_at is when it last changed,
// which for a healthy page is months ago. So the time of a sample is when the
// page was asked for, less the age of a cache's copy (the header Age). A
// component that is no longer on the page, and a word that is not known, are
// Unknown.
package statuspage

import "github.com/signalbox/signalbox/internal/kind"

// Kind is this package's line in the table of detectors.
func Kind() kind.Source {
	return kind.Source{
		Name:     "statuspage",
		Settings: func() kind.Settings { return newSettings() },
		Detector: func() kind.DetectorSettings { return &DetectorSettings{} },
		Open: func(name string, s kind.Settings, env kind.Env) (any, error) {
			return open(name, s.(*Settings), env)
		},
	}
}
