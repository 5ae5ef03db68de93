// Package statuspage is a stand-in for the public API of an Atlassian
// Statuspage, /api/v2/summary.json, for tests. It keeps the meaning of the real
// one: groups are components that others name, resolved incidents are not in
// the summary, the page's indicator follows its components unless it is set,
// and an answer that has not changed is 304 for who names its ETag.
//
// With a token it also serves, below /v1, what the daemon uses of the API for a
// page's owner (incidents and components), of which each request and answer is
// held to the vendor's description: see rest.go.
//
// The vendor's description is of the API for a page's owner. With its path the
// stand-in holds the page, components, incidents and updates of each answer to
// the schemas that the two have in common (nulls left out: the public API
// writes them for what is absent). Requests are held to the public API: GET, no
// parameters, a User-Agent. Faults are scripted: see Fail.
package statuspage
