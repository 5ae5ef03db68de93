// Package remediators is the table of the kinds of remediators: one line a
// kind.
package remediators

import (
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/remediators/announce"
	"github.com/signalbox/signalbox/remediators/argocd"
	"github.com/signalbox/signalbox/remediators/cdn"
	"github.com/signalbox/signalbox/remediators/channel"
	"github.com/signalbox/signalbox/remediators/command"
	"github.com/signalbox/signalbox/remediators/credentials"
	"github.com/signalbox/signalbox/remediators/endpoint"
	"github.com/signalbox/signalbox/remediators/job"
	"github.com/signalbox/signalbox/remediators/page"
	"github.com/signalbox/signalbox/remediators/pipeline"
	"github.com/signalbox/signalbox/remediators/rollout"
	"github.com/signalbox/signalbox/remediators/statuspage"
	"github.com/signalbox/signalbox/remediators/terraform"
	"github.com/signalbox/signalbox/remediators/throttle"
	"github.com/signalbox/signalbox/remediators/webhook"
)

// Kinds returns the table.
func Kinds() []kind.Remediator {
	return []kind.Remediator{
		announce.Kind(),    // tells a channel of Slack, in a thread an incident
		argocd.Kind(),      // syncs, rolls back and stops Applications of Argo CD
		cdn.Kind(),         // purges caches of Fastly and Cloudflare
		channel.Kind(),     // tells an owner by Slack or mail what the pager does not take
		command.Kind(),     // runs a program on the daemon's own host, where that is allowed
		credentials.Kind(), // replaces what leaked: rotate, see the consumers on the new one, revoke
		endpoint.Kind(),    // flips a switch among listed positions
		job.Kind(),         // runs a Job of Kubernetes
		page.Kind(),        // reaches an owner through PagerDuty
		pipeline.Kind(),    // runs, follows and cancels workflows of GitHub Actions
		rollout.Kind(),     // works on workloads, pods and nodes of Kubernetes
		statuspage.Kind(),  // tells the public on a Statuspage, and resolves it in place
		terraform.Kind(),   // flips a variable of a workspace of HCP Terraform
		throttle.Kind(),    // lowers a limit, and lifts it again in steps
		webhook.Kind(),     // sends one HTTP request, for what no other kind covers
	}
}
