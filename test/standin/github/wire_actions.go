package github

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// wire is the job as GitHub sends it.
func (j Job) wire(repository string, of Run) map[string]any {
	api := "https://api.github.com/repos/" + repository
	own := strconv.FormatInt(j.ID, 10)
	run := api + "/actions/runs/" + strconv.FormatInt(of.ID, 10)
	steps := make([]any, 0, len(j.Steps))
	for i, s := range j.Steps {
		steps = append(steps, map[string]any{"name": s.Name, "status": s.Status, "conclusion": orNull(s.Conclusion), "number": i + 1})
	}
	return map[string]any{
		"id": j.ID, "node_id": "J_" + own, "run_id": of.ID, "run_url": run, "head_sha": or(of.SHA, strings.Repeat("0", 40)), "head_branch": orNull(of.Branch),
		"workflow_name": "Deploy", "name": j.Name, "url": api + "/actions/jobs/" + own, "html_url": "https://github.com/" + repository + "/job/" + own,
		"check_run_url": api + "/check-runs/" + own, "status": j.Status, "conclusion": orNull(j.Conclusion), "steps": steps,
		"created_at": stamp(of.Created), "started_at": stamp(of.Created), "completed_at": nil,
		"labels": []any{}, "runner_id": nil, "runner_name": nil, "runner_group_id": nil, "runner_group_name": nil,
	}
}

func (s *Server) listDeployments(r *http.Request, repository string) any {
	q := r.URL.Query()
	listed := []any{}
	for _, d := range s.deployments {
		if (q.Get("sha") == "" || q.Get("sha") == d.SHA) && (q.Get("environment") == "" || q.Get("environment") == d.Environment) {
			listed = append(listed, d.wire(repository))
		}
	}
	return listed
}

func (d Deployment) wire(repository string) map[string]any {
	api := "https://api.github.com/repos/" + repository
	own := api + "/deployments/" + strconv.FormatInt(d.ID, 10)
	at := d.Success
	return map[string]any{
		"id": d.ID, "node_id": "D_" + strconv.FormatInt(d.ID, 10), "sha": d.SHA, "ref": d.SHA, "task": "deploy", "environment": d.Environment,
		"creator": nil, "payload": map[string]any{}, "description": nil, "statuses_url": own + "/statuses", "repository_url": api, "url": own,
		"created_at": stamp(at), "updated_at": stamp(at),
	}
}

// statuses lists what became of a deployment, the newest first.
func (s *Server) statuses(repository, id string) (any, bool) {
	for _, d := range s.deployments {
		if strconv.FormatInt(d.ID, 10) != id {
			continue
		}
		listed := []any{}
		for _, one := range []struct {
			state string
			at    time.Time
		}{{"inactive", d.Left}, {"success", d.Success}} {
			if !one.at.IsZero() {
				listed = append(listed, d.status(repository, one.state, one.at))
			}
		}
		return listed, true
	}
	return nil, false
}

func (d Deployment) status(repository, state string, at time.Time) map[string]any {
	api := "https://api.github.com/repos/" + repository
	own := api + "/deployments/" + strconv.FormatInt(d.ID, 10)
	return map[string]any{
		"id": at.Unix(), "node_id": "DS_1", "state": state, "creator": nil, "description": "", "deployment_url": own, "target_url": own,
		"repository_url": api, "url": own + "/statuses/1", "created_at": stamp(at), "updated_at": stamp(at),
	}
}
