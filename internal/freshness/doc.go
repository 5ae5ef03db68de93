// Package freshness tells how old the samples behind the answer to a PromQL
// query are. It is pure, and shared by the kinds of detectors that ask
// Prometheus, directly or through another server.
//
//	Query   query.go   what is read of the PromQL: its selectors, offsets and ranges
//	Ages    ages.go    which samples stand behind a result, and how old they are
//
// An instant answer carries the moment of its evaluation, and an exporter that
// died looks for the look-back of five minutes as if it still said what it said
// last. So beside a query one asks Query.Questions, timestamp(selector) for each
// selector in it, and matches the answers by their labels.
package freshness
