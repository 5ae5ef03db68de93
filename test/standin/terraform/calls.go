package terraform

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

type object = map[string]any

func refuse(status int, title, detail string) (int, string, any) {
	return status, "", object{"errors": []object{{"status": fmt.Sprint(status), "title": title, "detail": detail}}}
}

// take does what a call asks.
func (s *Server) take(r *http.Request, path string, body []byte) (status int, location string, answer any) {
	if r.Header.Get("Authorization") != "Bearer "+s.o.Token {
		return refuse(http.StatusUnauthorized, "unauthorized", "")
	}
	if r.Method != http.MethodGet && r.Header.Get("Content-Type") != media || r.UserAgent() == "" {
		s.violations = append(s.violations, r.Method+" "+path+": Content-Type must be "+media+", and User-Agent given")
	}
	ws := "/workspaces/" + workspaceID
	switch call := r.Method + " " + path; {
	case call == "GET /organizations/"+Organization+"/workspaces/"+Workspace:
		return http.StatusOK, "", object{"data": s.workspace()}
	case call == "GET "+ws+"/vars":
		return http.StatusOK, "", object{"data": []object{s.variable()}}
	case call == "GET "+ws+"/runs":
		runs := []object{}
		for i := range s.state.Runs {
			runs = append(runs, s.state.Runs[i].wire())
		}
		return http.StatusOK, "", object{"data": runs}
	case call == "PATCH "+ws+"/vars/"+variableID:
		return s.set(body)
	case call == "POST /runs":
		return s.queue(body)
	case r.Method == http.MethodGet && strings.HasPrefix(path, "/plans/plan-"):
		return s.plan(strings.TrimPrefix(path, "/plans/plan-"))
	case r.Method == http.MethodPost && strings.HasPrefix(path, "/runs/"):
		return s.end(strings.Split(path, "/"))
	}
	return refuse(http.StatusNotFound, "not found", "")
}

func (s *Server) workspace() object {
	may := map[string]bool{}
	for _, p := range []string{"can-read-variable", "can-update-variable", "can-read-run", "can-queue-run", "can-queue-apply"} {
		may[p] = !slices.Contains(s.state.Denied, p)
	}
	mode := "remote"
	if s.state.Local {
		mode = "local"
	}
	attributes := object{"name": Workspace, "locked": s.state.Locked != "", "locked-reason": s.state.Locked, "execution-mode": mode, "permissions": may, "structured-run-output-enabled": !s.state.Unavailable}
	w := object{"id": workspaceID, "type": "workspaces", "attributes": attributes}
	if s.state.Locked != "" {
		w["relationships"] = object{"locked-by": object{"data": object{"id": "user-f7dajrZLEBtjqYuL", "type": "users"}}}
	}
	return w
}

func (s *Server) variable() object {
	value := any(s.state.Value)
	if s.state.Sensitive {
		value = nil
	}
	return object{"id": variableID, "type": "vars", "attributes": object{
		"key": "cdn_active_provider", "value": value, "category": "terraform", "hcl": s.state.HCL, "sensitive": s.state.Sensitive, "version-id": fmt.Sprintf("v%d", s.state.Version),
	}}
}

func (r *Run) wire() object {
	at := object{}
	if r.Applying {
		at["applying-at"] = r.At.UTC().Format(time.RFC3339)
	}
	return object{"id": r.ID, "type": "runs", "attributes": object{
		"status": r.Status, "message": r.Message, "auto-apply": r.AutoApply, "plan-only": false, "created-at": r.At.UTC().Format(time.RFC3339),
		"actions": object{"is-confirmable": r.Confirmable, "is-discardable": r.Confirmable}, "status-timestamps": at,
	}, "relationships": object{"plan": object{"data": object{"id": "plan-" + r.ID, "type": "plans"}}}}
}

func (s *Server) set(body []byte) (int, string, any) {
	var in struct {
		Data struct {
			Attributes struct{ Value *string }
		}
	}
	if json.Unmarshal(body, &in) != nil || in.Data.Attributes.Value == nil {
		return refuse(http.StatusUnprocessableEntity, "invalid attribute", "value")
	}
	s.state.Value = *in.Data.Attributes.Value
	s.state.Version++
	return http.StatusOK, "", object{"data": s.variable()}
}

func (s *Server) queue(body []byte) (int, string, any) {
	var in struct {
		Data struct {
			Attributes struct {
				Message   string
				AutoApply bool `json:"auto-apply"`
			}
			Relationships struct {
				Workspace struct{ Data struct{ ID string } }
			}
		}
	}
	if json.Unmarshal(body, &in) != nil || in.Data.Relationships.Workspace.Data.ID != workspaceID {
		return refuse(http.StatusUnprocessableEntity, "invalid attribute", "workspace")
	}
	r := Run{ID: fmt.Sprintf("run-%d", len(s.state.Runs)+1), Status: "pending", Message: in.Data.Attributes.Message, AutoApply: in.Data.Attributes.AutoApply, Value: s.state.Value, At: s.o.Now()}
	s.state.Runs = slices.Insert(s.state.Runs, 0, r)
	return http.StatusCreated, "", object{"data": r.wire()}
}

func (s *Server) plan(id string) (int, string, any) {
	id, content := strings.CutSuffix(id, "/json-output-redacted")
	i := s.run(id)
	if i < 0 {
		return refuse(http.StatusNotFound, "not found", "")
	}
	if content {
		return http.StatusTemporaryRedirect, "/blob/" + id + "?signature=s3cret", nil
	}
	n := s.state.Runs[i].Counts
	return http.StatusOK, "", object{"data": object{"id": "plan-" + id, "type": "plans", "attributes": object{
		"status": "finished", "has-changes": true, "resource-additions": n[0], "resource-changes": n[1], "resource-destructions": n[2], "resource-imports": n[3],
	}}}
}

// end confirms or discards a run: path is "", "runs", id, "actions", what.
func (s *Server) end(path []string) (int, string, any) {
	i := -1
	if len(path) == 5 && path[3] == "actions" {
		i = s.run(path[2])
	}
	if i < 0 {
		return refuse(http.StatusNotFound, "not found", "")
	}
	r := &s.state.Runs[i]
	switch {
	case path[4] == "apply" && r.Confirmable:
		r.Status = "confirmed"
		s.state.Applied = append(s.state.Applied, r.Value)
	case path[4] == "discard" && (r.Confirmable || strings.HasSuffix(r.Status, "_override")):
		r.Status = "discarded"
	default:
		return refuse(http.StatusConflict, "transition not allowed", "")
	}
	r.Confirmable = false
	return http.StatusAccepted, "", nil
}

// Move puts the newest run into a state, with the content of its plan where it
// can be confirmed.
func (s *Server) Move(status, plan string, counts [4]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.state.Runs[0]
	r.Status, r.Plan, r.Counts, r.Confirmable = status, plan, counts, plan != ""
}
