package github

import (
	"strconv"
	"strings"
	"time"
)

// wire is the run as GitHub sends it.
func (r Run) wire(repository string, f Workflow) map[string]any {
	api := "https://api.github.com/repos/" + repository
	own := api + "/actions/runs/" + strconv.FormatInt(r.ID, 10)
	started := r.Started
	if started.IsZero() {
		started = r.Created
	}
	head := wireRepository(repository, 1)
	if r.Fork {
		head = wireRepository("somebody/fork", 2)
	}
	return map[string]any{
		"id": r.ID, "node_id": "WFR_" + strconv.FormatInt(r.ID, 10), "name": f.Name, "display_title": or(r.Title, "A change"),
		"run_number": r.Number, "run_attempt": max(r.Attempt, 1), "event": or(r.Event, "push"),
		"status": or(r.Status, "completed"), "conclusion": orNull(r.Conclusion), "workflow_id": f.ID, "path": ".github/workflows/" + f.File,
		"head_branch": orNull(r.Branch), "head_sha": or(r.SHA, strings.Repeat("0", 40)),
		"created_at": stamp(r.Created), "run_started_at": stamp(started), "updated_at": stamp(started.Add(time.Minute)),
		"url": own, "html_url": "https://github.com/" + repository + "/actions/runs/" + strconv.FormatInt(r.ID, 10),
		"jobs_url": own + "/jobs", "logs_url": own + "/logs", "check_suite_url": api + "/check-suites/1", "artifacts_url": own + "/artifacts",
		"cancel_url": own + "/cancel", "rerun_url": own + "/rerun", "workflow_url": api + "/actions/workflows/" + strconv.FormatInt(f.ID, 10),
		"previous_attempt_url": nil, "pull_requests": []any{}, "repository": wireRepository(repository, 1), "head_repository": head,
		"head_commit": map[string]any{
			"id": strings.Repeat("0", 40), "tree_id": strings.Repeat("0", 40), "message": "A change", "timestamp": stamp(r.Created),
			"author": map[string]any{"name": "nobody", "email": "nobody@example.com"}, "committer": map[string]any{"name": "nobody", "email": "nobody@example.com"},
		},
	}
}

// links are the addresses of a repository that the vendor's description asks for.
func links() []string {
	return strings.Fields(`archive assignees blobs branches collaborators comments commits compare contents contributors deployments downloads
	events forks git_commits git_refs git_tags hooks issue_comment issue_events issues keys labels languages merges milestones notifications
	pulls releases stargazers statuses subscribers subscription tags teams trees`)
}

func wireRepository(name string, id int64) map[string]any {
	api := "https://api.github.com/repos/" + name
	owner, short, _ := strings.Cut(name, "/")
	wire := map[string]any{
		"id": id, "node_id": "R_" + strconv.FormatInt(id, 10), "name": short, "full_name": name, "owner": wireUser(owner),
		"private": true, "html_url": "https://github.com/" + name, "description": nil, "fork": id != 1, "url": api,
	}
	for _, l := range links() {
		wire[l+"_url"] = api + "/" + l
	}
	return wire
}

func wireUser(login string) map[string]any {
	api := "https://api.github.com/users/" + login
	wire := map[string]any{
		"login": login, "id": 1, "node_id": "U_1", "gravatar_id": "", "type": "Organization", "site_admin": false,
		"url": api, "html_url": "https://github.com/" + login, "avatar_url": "https://github.com/images/" + login,
	}
	for _, l := range []string{"followers", "following", "gists", "starred", "subscriptions", "organizations", "repos", "events", "received_events"} {
		wire[l+"_url"] = api + "/" + l
	}
	return wire
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
