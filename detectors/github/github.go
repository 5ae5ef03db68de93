// Package github is the kind of source and detector that watches the runs of a
// GitHub Actions workflow: a deploy, a nightly job.
//
//	Settings           settings.go   the keys of a source
//	Source             source.go     lists runs, by the REST API
//	runs               runs.go       what is taken of the answers, as samples
//	DetectorSettings   detector.go   the keys of a detector: one workflow
//	detector           judge.go      pure: runs to one reading
//	history            history.go    pure: which run tells how it is
//
// What tells is the newest run that completed with success or failure. One that
// was cancelled or skipped says nothing of health, so the run before it counts;
// one that is under way leaves things as they were, also a re-run of the failed
// one, behind which an older success must not show. Where no run tells, it is
// Unknown, and so is a list in which a run that was seen before is missing.
//
// The API is that of https://docs.github.com/rest/actions/workflow-runs, in the
// version that GitHub Enterprise Server has too.
package github

import "github.com/signalbox/signalbox/internal/kind"

// Kind is this package's line in the table of detectors.
func Kind() kind.Source {
	return kind.Source{
		Name:     "github",
		Settings: func() kind.Settings { return newSettings() },
		Detector: func() kind.DetectorSettings { return &DetectorSettings{} },
		Look:     func() kind.LookSettings { return &LookSettings{} },
		Open: func(name string, s kind.Settings, env kind.Env) (any, error) {
			return open(name, s.(*Settings), env)
		},
	}
}
