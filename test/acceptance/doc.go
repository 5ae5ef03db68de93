// Package acceptance tells, as stories, what the daemon does for its users:
// the real binary, against real Prometheus, Alertmanager and kube-apiserver,
// with a stand-in for PagerDuty that is held to its specification.
//
// Each story is one test. What happened is read from the targets (the API
// server's audit log, the pager's incidents), never from the daemon alone.
// The servers come from `go run ./test/servers/install`; where they are
// missing a story is skipped and says so, and fails where CI=true is set.
package acceptance
