package remediators_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/standin/cdn"
	"github.com/signalbox/signalbox/test/standin/github"
	"github.com/signalbox/signalbox/test/standin/slack"
	"github.com/signalbox/signalbox/test/standin/statuspage"
	"github.com/signalbox/signalbox/test/standin/terraform"
)

// none are the promises that are void for one reason.
func none(reason string, promises ...string) map[string]string {
	without := map[string]string{}
	for _, p := range promises {
		without[p] = reason
	}
	return without
}

func cdnEntries() []entry {
	const service, zone = "SU1Z0isxPaozGVKXdv0eY", "023e105f4ecef8ad9ca31a8372d0c353"
	build := func(tool string) func(b *bench) {
		return func(b *bench) {
			const token = "hunter2-purge-token"
			b.secret("secrets/cdn", token)
			s, err := cdn.New(cdn.Options{
				Token: token, Service: service, Zone: zone,
				FastlySpec: b.contract("fastly", "purge.handwritten.yaml"), CloudflareSpec: b.contract("cloudflare", "purge.handwritten.yaml"),
			})
			b.must(err)
			b.blocks = "tools: {caches: " + fmt.Sprintf(tool, b.serve(s, nil)) + "}"
			b.step = "{cdn: caches}"
			b.violations = s.Violations
			b.record = func() (did []string) {
				for _, p := range s.Purges() {
					did = append(did, fmt.Sprint(p))
				}
				return did
			}
			b.effects = func() int { // a second purge has the effect of the first
				did := b.record()
				slices.Sort(did)
				return len(slices.Compact(did))
			}
		}
	}
	without := func() map[string]string {
		return none("a cache fills by itself, and neither vendor tells what is in it", "reads", "undo", "positions")
	}
	return []entry{
		{kind: "cdn", key: "fastly", class: signalbox.ClassB, build: build("{fastly: {service: " + service + ", token_file: secrets/cdn, url: %q, keys: [checkout, assets/v2]}}"), without: without()},
		{kind: "cdn", key: "cloudflare", class: signalbox.ClassB, build: build("{cloudflare: {zone: " + zone + ", token_file: secrets/cdn, url: %q, tags: [t1, t2]}}"), without: without()},
	}
}

func announceEntries() []entry {
	build := func(more string) func(b *bench) {
		return func(b *bench) {
			const token, channel = "xoxb-hunter2-not-a-real-token", "C024BE91L"
			b.secret("secrets/slack", token)
			s, err := slack.New(slack.Options{Token: token, Channels: []string{channel}, Spec: b.contract("slack", "slack.trim.json"), Now: b.clock})
			b.must(err)
			b.blocks = fmt.Sprintf("tools: {ops: {slack: {channel: incidents, channel_id: %s, token_file: secrets/slack, api_url: %q, labels: [cluster]%s}}}", channel, b.serve(s, nil)+"/api", more)
			b.step = "{announce: ops}"
			b.violations = s.Violations
			b.record = func() []string {
				return slices.DeleteFunc(s.Calls(), func(m string) bool {
					return slices.Contains([]string{"auth.test", "conversations.info", "conversations.history", "conversations.list", "conversations.replies"}, m)
				})
			}
			b.effects = func() (n int) {
				for _, m := range s.Messages() {
					if !m.Foreign && m.Metadata != "" {
						n++
					}
				}
				return n
			}
		}
	}
	without := func() map[string]string {
		return none("what was said stays said: its end is told in the thread, which its own tests show", "undo", "positions")
	}
	return []entry{
		{kind: "announce", key: "slack", class: signalbox.ClassC, build: build(""), without: without()},
		{kind: "announce", key: "slack", name: "with a channel of its own", class: signalbox.ClassC, build: build(`, incident_channel: {prefix: inc, topic: "{{subject}}", invite: [U1A]}`), without: without()},
	}
}

func statuspageEntries() []entry {
	const payouts, cards = "8kbf7d35c070", "9kbf7d35c071"
	build := func(b *bench) {
		const token, page = "hunter2-not-a-real-key", "kctbh9vrtdwd"
		b.secret("secrets/page", token)
		s, err := statuspage.New(statuspage.Options{Token: token, Spec: b.contract("statuspage", "statuspage.trim.json"), Now: b.clock})
		b.must(err)
		s.Set(statuspage.Page{ID: page, Name: "Payments", UpdatedAt: b.clock(), Components: []statuspage.Component{
			{ID: payouts, Name: "Payouts", Status: "operational"}, {ID: cards, Name: "Cards", Status: "degraded_performance"},
		}})
		b.blocks = fmt.Sprintf(`tools: {page: {statuspage: {page_id: %s, token_file: secrets/page, url: %q, components: {Payouts: %s, Cards: %s}, component_status: partial_outage,
  impact: minor, labels: [cluster], name: Payouts are delayed, message: "We look into delays in {{labels.cluster}}.", messages: {identified: It is found.}, resolved_message: Payouts are on time again.}}}`,
			page, b.serve(s, nil)+"/v1", payouts, cards)
		b.step = "{statuspage: page}"
		b.violations = s.Violations
		b.record = func() []string {
			return slices.DeleteFunc(s.Calls(), func(c string) bool { return strings.HasPrefix(c, "GET ") })
		}
		b.effects = func() int { return len(s.Page().Incidents) }
		if b.e.move == "identified" { // it is told where the first word was
			b.effects = func() (n int) {
				for _, i := range s.Page().Incidents {
					n += len(i.Bodies) - 1
				}
				return n
			}
			b.ready = func() {
				first := b.resolved
				first.To = "investigating"
				a := b.claim(first, firstAction+"-0", "")
				b.must(b.start(b.process(), b.t.Context(), &a))
			}
		}
		b.value = func() string {
			text := ""
			for _, c := range s.Page().Components {
				text += c.ID + "=" + c.Status + " "
			}
			return text
		}
	}
	later := none("a page has no positions", "positions")
	later["undo"] = "the page's incident ends as a whole: what takes the first word back"
	return []entry{
		{kind: "statuspage", key: "statuspage", move: "investigating", class: signalbox.ClassC, build: build, without: none("a page has no positions", "positions")},
		{kind: "statuspage", key: "statuspage", move: "identified", class: signalbox.ClassC, build: build, without: later},
	}
}

func terraformEntries() []entry {
	const plan = `{"plan_format_version":"1.2","resource_changes":[{"address":"module.cdn.dns_record.main","change":{"actions":["update"]}}]}`
	build := func(b *bench) {
		const token = "hunter2-not-a-real-token"
		b.secret("secrets/terraform", token)
		s, err := terraform.New(terraform.Options{Token: token, Spec: b.contract("terraform", "terraform.trim.json"), Now: b.clock})
		b.must(err)
		b.blocks = fmt.Sprintf(`switches: {cdn: {terraform: {url: %q, token_file: secrets/terraform, organization: %s, workspace: %s, variable: cdn_active_provider, auto_apply: true,
  only_resources: ["module.cdn.*"]}, undo: auto, positions: {main: fastly, spare: cloudflare}}}`, b.serve(s, nil), terraform.Organization, terraform.Workspace)
		b.step = "{flip: cdn}"
		b.violations = s.Violations
		b.record = s.Writes
		b.effects = func() (n int) { // that the variable was set; at most one run applies it
			for _, w := range s.Writes() {
				if strings.HasPrefix(w, "PATCH ") {
					n++
				}
			}
			if applied := len(s.State().Applied); applied > 1 {
				return applied
			}
			return n
		}
		b.value = func() string { return s.State().Value }
		b.strange = func() { s.Edit(func(st *terraform.State) { st.Value = "akamai" }) }
		b.moves = func() {
			switch runs := s.State().Runs; {
			case len(runs) == 0:
			case runs[0].Status == "pending":
				s.Move("policy_checked", plan, [4]int{0, 1, 0, 0})
			case runs[0].Status == "confirmed":
				s.Move("applied", "", [4]int{})
			}
		}
	}
	return []entry{{kind: "terraform", key: "terraform", move: "spare", class: signalbox.ClassC, build: build}}
}

func pipelineEntries() []entry {
	build := func(b *bench) {
		const token = "ghp_hunter2hunter2"
		const repository = "acme/shop"
		b.secret("secrets/github", token)
		moment := b.clock()
		ago := func(hours int) time.Time { return moment.Add(-time.Duration(hours) * time.Hour) }
		hub, err := github.New(github.Options{Token: token, Spec: b.contract("github", "actions.trim.json"), Reset: moment.Add(20 * time.Minute), Now: b.clock})
		b.must(err)
		const input = "signalbox_action"
		hub.SetWorkflows(
			repository,
			github.Workflow{ID: 7, Name: "Deploy", File: "deploy-prod.yml", Inputs: []string{input, "reason"}, RunName: input},
			github.Workflow{ID: 8, Name: "Smoke", File: "smoke.yml", Inputs: []string{input}, RunName: input},
		)
		good, bad := strings.Repeat("b", 40), strings.Repeat("c", 40)
		runs := []github.Run{{ID: 102, Conclusion: "success", Branch: "v1.2", SHA: good, Created: ago(90)}, {ID: 103, Conclusion: "failure", Branch: "v1.3", SHA: bad, Created: ago(1)}}
		if b.e.move == "cancelled" {
			runs = append(runs, github.Run{ID: 104, Status: "in_progress", Branch: "main", Created: ago(0)})
			hub.SetJobs(104, github.Job{ID: 1, Name: "migrate", Status: "in_progress", Steps: []github.JobStep{{Name: "backfill", Status: "in_progress"}}})
		}
		hub.SetRuns(7, runs...)
		hub.SetRuns(8, github.Run{ID: 112, Conclusion: "success", Branch: "v1.2", SHA: good, Created: ago(89)})
		hub.SetTag("v1.2", good)
		hub.SetDiff(good, bad, github.Diff{Status: "ahead", Files: []string{"cmd/shop/main.go"}})
		hub.SetDeployments(github.Deployment{ID: 5, SHA: good, Environment: "production", Success: ago(90), Left: ago(1)})
		b.blocks = fmt.Sprintf(`tools: {deploy: {github: {url: %q, repository: %s, workflow: deploy-prod.yml, ref: main, inputs: {reason: signalbox}, authorization: {credentials_file: secrets/github},
  stable: {tag_pattern: 'v\d+\.\d+', smoke_workflow: smoke.yml, environment: production, migrations: ["db/migrations/**"]}, cancel: {never_during: [apply]}}}}`, b.serve(cancelling{hub}, nil), repository)
		b.step = "{pipeline: deploy}"
		b.violations = hub.Violations
		b.record = hub.Writes
		b.effects = func() int {
			if b.e.move != "cancelled" {
				return len(hub.Dispatched())
			}
			return min(1, len(hub.Writes())) // a run ends once, however often it is told to
		}
		if b.e.move == "cancelled" { // its run has ended with it
			return
		}
		b.moves = func() {
			for _, r := range hub.Dispatched() {
				hub.Finish(r.ID, "success")
			}
		}
	}
	var list []entry
	for _, move := range []string{"run", "previous", "cancelled"} {
		without := none("what a run did is taken back by hand, with the command on the page; it has no positions", "undo", "positions")
		if move == "cancelled" {
			without["not done"] = "GitHub ends a run when its jobs let it: one that goes on may have been told to end"
		}
		list = append(list, entry{kind: "pipeline", key: "github", move: move, class: signalbox.ClassC, build: build, without: without})
	}
	return list
}

// cancelling ends a run as soon as it is told to.
type cancelling struct{ *github.Server }

func (c cancelling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.Server.ServeHTTP(w, r)
	if strings.HasSuffix(r.URL.Path, "/runs/104/cancel") {
		c.Finish(104, "cancelled")
	}
}
