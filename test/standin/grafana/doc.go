// Package grafana is a stand-in for the parts of Grafana's HTTP API that read
// dashboards, ask data sources and keep annotations, for tests. It keeps the
// meaning of the real one:
//
//   - a search matches a part of a title, in any case, and gives no folder for
//     dashboards that are in none
//   - a query is sent whole: variables, also Grafana's own, are for the browser
//     to fill in, and one that comes unfilled is a violation
//   - where a part of a query fails the answer is 400, or 207 with
//     Options.MultiStatus, and both hold the results of all parts
//   - values that JSON can't write stand as null, and in `entities`
//   - annotations are found by all of their tags
//
// With the path of Grafana's own OpenAPI description it also holds each request,
// and each of its own answers, to that. PromQL is answered by Prometheus' own
// engine: see PromQL. Faults are scripted: see Fail.
package grafana
