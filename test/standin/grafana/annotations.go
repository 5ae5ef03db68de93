package grafana

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Annotation is one that is kept.
type Annotation struct {
	ID         int64
	Dashboard  string // uid; "": of the whole organization
	Start, End time.Time
	Tags       []string
	Text       string
}

// Annotations returns those that are kept, oldest first.
func (s *Server) Annotations() []Annotation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.annotations)
}

// AddAnnotation keeps one of another's.
func (s *Server) AddAnnotation(a Annotation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(a)
}

func (s *Server) keep(a Annotation) int64 {
	s.nextID++
	a.ID = s.nextID
	s.annotations = append(s.annotations, a)
	return a.ID
}

func (s *Server) findAnnotations(r *http.Request) []map[string]any {
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 {
		limit = 100
	}
	from, fromErr := strconv.ParseInt(q.Get("from"), 10, 64)
	to, toErr := strconv.ParseInt(q.Get("to"), 10, 64)
	bounded := fromErr == nil && toErr == nil // one alone bounds nothing
	found := []map[string]any{}
	for _, a := range slices.Backward(s.annotations) {
		missing := slices.ContainsFunc(q["tags"], func(tag string) bool { return !slices.Contains(a.Tags, tag) })
		if missing || q.Get("dashboardUID") != "" && q.Get("dashboardUID") != a.Dashboard || len(found) == limit ||
			bounded && (a.End.UnixMilli() < from || a.Start.UnixMilli() > to) {
			continue
		}
		found = append(found, map[string]any{
			"id": a.ID, "alertId": 0, "alertName": "", "dashboardId": 1, "dashboardUID": a.Dashboard, "panelId": 0, "userId": 1, "newState": "", "prevState": "",
			"created": a.Start.UnixMilli(), "updated": a.Start.UnixMilli(), "time": a.Start.UnixMilli(), "timeEnd": a.End.UnixMilli(),
			"text": a.Text, "tags": a.Tags, "login": "sa-signalbox", "email": "", "avatarUrl": "", "data": map[string]any{},
		})
	}
	return found
}

// sentAnnotation is what a request says of one; a key that is not given is nil.
type sentAnnotation struct {
	DashboardUID *string   `json:"dashboardUID"`
	PanelID      *int64    `json:"panelId"`
	Time         *int64    `json:"time"`
	TimeEnd      *int64    `json:"timeEnd"`
	Tags         *[]string `json:"tags"`
	Text         *string   `json:"text"`
}

func (s *Server) readAnnotation(r *http.Request, body []byte) (sentAnnotation, bool) {
	var in sentAnnotation
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(&in)
	rule := s.rule(r)
	rule(err == nil, "body must be an annotation: %v", err)
	if in.Tags != nil {
		for _, tag := range *in.Tags {
			rule(tag != "" && len(tag) <= 100, "a tag has 1 to 100 characters, got %q", tag)
		}
	}
	if in.Time != nil && in.TimeEnd != nil {
		rule(*in.TimeEnd >= *in.Time, "timeEnd must not be before time")
	}
	return in, err == nil
}

func (a *Annotation) take(in sentAnnotation) {
	if in.Time != nil {
		a.Start = time.UnixMilli(*in.Time).UTC()
	}
	if in.TimeEnd != nil {
		a.End = time.UnixMilli(*in.TimeEnd).UTC()
	}
	if in.Tags != nil {
		a.Tags = *in.Tags
	}
	if in.Text != nil {
		a.Text = *in.Text
	}
}

func (s *Server) postAnnotation(w http.ResponseWriter, r *http.Request, body []byte) {
	in, ok := s.readAnnotation(r, body)
	if !ok || in.Text == nil || *in.Text == "" {
		s.send(w, r, body, http.StatusBadRequest, map[string]any{"message": "Failed to save annotation: text field should not be empty"})
		return
	}
	a := Annotation{}
	if in.DashboardUID != nil {
		a.Dashboard = *in.DashboardUID
		known := slices.ContainsFunc(s.dashboards, func(d Dashboard) bool { return d.UID == a.Dashboard })
		s.rule(r)(known, "there is no dashboard %q", a.Dashboard)
	}
	a.take(in)
	if a.End.IsZero() {
		a.End = a.Start
	}
	s.send(w, r, body, http.StatusOK, map[string]any{"message": "Annotation added", "id": s.keep(a)})
}

func (s *Server) patchAnnotation(w http.ResponseWriter, r *http.Request, body []byte, id string) {
	in, ok := s.readAnnotation(r, body)
	i := slices.IndexFunc(s.annotations, func(a Annotation) bool { return strconv.FormatInt(a.ID, 10) == id })
	switch {
	case !ok:
		s.send(w, r, body, http.StatusUnauthorized, map[string]any{"message": "bad request data"})
		return
	case i < 0:
		s.send(w, r, body, http.StatusNotFound, map[string]any{"message": "Annotation not found"})
		return
	}
	s.rule(r)(in.DashboardUID == nil && in.PanelID == nil, "an annotation can't be moved")
	s.annotations[i].take(in)
	s.send(w, r, body, http.StatusOK, map[string]any{"message": "Annotation patched"})
}
