// Package grafana is the kind of source and detector that looks at the panels of
// a Grafana: a detector names a dashboard and a panel, so that the dashboard that
// people look at is the one source of truth.
//
//	Settings           settings.go      the keys of a source
//	Source             source.go        asks (ask.go), and annotates dashboards (annotate.go)
//	books              books.go         the definitions that Grafana holds, each read at most once in a while for all
//	define             define.go        name to dashboard, panel, library panel and data sources
//	dashboard, model   dashboard.go, model.go, datasource.go, unit.go   what of the JSON is read, and refused
//	plan               plan.go          pure: a definition to the queries that are sent; logql.go reads LogQL
//	scope              interpolate.go   variables filled in: variable.go their values, format.go how they are written, interval.go the times
//	results            frames.go        data frames to samples: series.go
//	memory             memory.go        what a panel was, and what changed: facts.go
//	DetectorSettings   detector.go      the keys of a detector
//	panelDetector      judge.go         pure: answers to readings
//
// A dashboard is made for browsers: variables, transformations and repeated
// panels are resolved there, and Grafana's API knows nothing of them. So the
// panel is resolved here, and what can't be resolved for certain is refused with
// what to write instead: a wrong query would give a wrong value. A refused or
// vanished panel is Unknown, which is paged when it lasts; it is never Clear.
//
// The value is the present one, of the panel's query at the moment that is asked
// about, whatever the panel draws. PromQL is asked for that moment, together with
// timestamp(selector) of each selector in it (see internal/freshness), and a
// value counts only with fresh samples behind it. Others tell their time in their
// answers. The origin of a reading is the data source's server, not Grafana: the
// same Prometheus, asked twice, is one origin.
package grafana
