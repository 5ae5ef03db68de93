package grafana

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

func (s *Server) search(r *http.Request) []map[string]any {
	q := r.URL.Query()
	s.rule(r)(q.Get("type") == "dash-db", `type must be dash-db, or folders are found too, got %q`, q.Get("type"))
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 || limit > 5_000 {
		limit = 1_000
	}
	hits := []map[string]any{}
	for i, d := range s.dashboards {
		if len(hits) == limit || !strings.Contains(strings.ToLower(d.Title), strings.ToLower(q.Get("query"))) {
			continue
		}
		hit := map[string]any{
			"id": i + 1, "uid": d.UID, "title": d.Title, "type": "dash-db", "uri": "db/" + d.UID,
			"url": "/d/" + d.UID + "/" + d.UID, "slug": "", "tags": []string{}, "isStarred": false, "sortMeta": 0,
		}
		if d.Folder != "" {
			hit["folderTitle"], hit["folderUid"], hit["folderId"] = d.Folder, "folder-"+strings.ToLower(d.Folder), 1
		}
		hits = append(hits, hit)
	}
	return hits
}

func (s *Server) dashboard(w http.ResponseWriter, r *http.Request, body []byte) {
	uid := strings.TrimPrefix(r.URL.Path, "/api/dashboards/uid/")
	for _, d := range s.dashboards {
		if d.UID != uid {
			continue
		}
		var model map[string]any
		if err := json.Unmarshal(d.Model, &model); err != nil {
			s.violations = append(s.violations, "dashboard "+uid+" is no JSON object: "+err.Error())
			model = map[string]any{}
		}
		model["uid"], model["title"] = d.UID, d.Title
		folder := d.Folder
		if folder == "" {
			folder = "General"
		}
		meta := map[string]any{
			"type": "db", "isFolder": false, "folderTitle": folder, "url": "/d/" + uid + "/x", "slug": "x", "version": 1,
			"created": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:00:00Z", "canSave": true,
		}
		if d.APIVersion != "" {
			meta["apiVersion"] = d.APIVersion
		}
		answer := map[string]any{"dashboard": model, "meta": meta}
		if d.StoredVersion != "" {
			answer["status"] = map[string]any{"conversion": map[string]any{"failed": false, "storedVersion": d.StoredVersion}}
		}
		s.send(w, r, body, http.StatusOK, answer)
		return
	}
	s.send(w, r, body, http.StatusNotFound, map[string]any{"message": "Dashboard not found"})
}

// library answers as the vendor's documentation shows, since the description
// says nothing of library elements:
// https://grafana.com/docs/grafana/latest/developers/http_api/library_element/.
func (s *Server) library(w http.ResponseWriter, r *http.Request) {
	uid := strings.TrimPrefix(r.URL.Path, libraryPath)
	status, answer := http.StatusNotFound, map[string]any{"message": "library element could not be found"}
	for i, l := range s.libraries {
		if l.UID == uid {
			status, answer = http.StatusOK, map[string]any{"result": map[string]any{
				"id": i + 1, "orgId": 1, "folderId": 0, "folderUid": "", "uid": l.UID, "name": l.Name, "kind": l.Kind, "type": "timeseries",
				"description": "", "model": l.Model, "version": 1, "meta": map[string]any{"folderName": "General", "connectedDashboards": 1},
			}}
		}
	}
	raw, err := json.Marshal(answer)
	s.rule(r)(err == nil, "our answer: %v", err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

func (s *Server) listDatasources() []map[string]any {
	list := []map[string]any{}
	for i, d := range s.datasources {
		data := d.JSONData
		if data == nil {
			data = map[string]any{}
		}
		list = append(list, map[string]any{
			"id": i + 1, "orgId": 1, "uid": d.UID, "name": d.Name, "type": d.Type, "typeName": d.Type, "typeLogoUrl": "", "access": "proxy",
			"url": d.URL, "user": "", "database": "", "basicAuth": false, "isDefault": d.Default, "jsonData": data, "readOnly": false,
		})
	}
	return list
}
