// Package catalog holds ready-made detectors. A configuration includes one by
// its name; the entry's keys are then defaults for the detector's own:
//
//	{name: pg-lag, catalog: postgresql-replication-lag, source: metrics, with: {select: 'job="pg"'}, breach: {above: 2s}}
//
//	entries/*.yaml   the entries: what each needs, its parameters, and the detector as a person would write it
//	entry.go         reads an entry, and fills its parameters in
//	parameter.go     the types of parameters: what may be given, and how it is written into a query
//	testdata/        for each entry the story that its policy test plays
//
// A parameter stands in an entry as ${name}. What is given to it is read by its
// type and written anew, and never pasted: a value can't reach beyond its place
// in a query.
//
// Each entry's query gives a value, without a comparison at its end, and an
// entry says with presence what proves that the series of a healthy thing may
// be gone. docs/catalog has a page for each.
package catalog
