package statuspage

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
)

// Bounds of what is taken as an answer. The largest pages have some hundreds of
// components.
const (
	maxComponents = 5_000
	maxIncidents  = 500
	maxText       = 200 // bytes of a name, as it is repeated
)

// summary is what is taken of /api/v2/summary.json.
type summary struct {
	Page struct {
		ID   string `json:"id"`
		Name string `json:"name"`
		URL  string `json:"url"`
	} `json:"page"`
	Status struct {
		Indicator   string `json:"indicator"`
		Description string `json:"description"`
	} `json:"status"`
	Components   []component `json:"components"`
	Incidents    []incident  `json:"incidents"`              // not resolved
	Maintenances []incident  `json:"scheduled_maintenances"` // upcoming, in progress or verifying
}

type component struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Status  string `json:"status"`
	GroupID string `json:"group_id"`
}

type incident struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Status     string `json:"status"`
	Impact     string `json:"impact"`
	Link       string `json:"shortlink"`
	Components []struct {
		ID string `json:"id"`
	} `json:"components"`
}

// readSummary reads the answer, and refuses what is not a summary or is
// ambiguous.
func readSummary(body []byte) (*summary, error) {
	s, err := httpclient.DecodeJSON[*summary](body)
	switch {
	case err != nil:
		return nil, err
	case s == nil, s.Page.ID == "", s.Status.Indicator == "", s.Components == nil:
		return nil, errors.New("the answer is not the summary of a status page: it must have page.id, status.indicator and components")
	case len(s.Components) > maxComponents:
		return nil, fmt.Errorf("the page has %d components, and at most %d are taken", len(s.Components), maxComponents)
	case len(s.Incidents) > maxIncidents, len(s.Maintenances) > maxIncidents:
		return nil, fmt.Errorf("the page has %d incidents and %d maintenances, and at most %d are taken", len(s.Incidents), len(s.Maintenances), maxIncidents)
	}
	seen := make(map[string]bool, len(s.Components))
	for _, c := range s.Components {
		if c.ID == "" || seen[c.ID] {
			return nil, errors.New("each component of the page must have an id of its own")
		}
		seen[c.ID] = true
	}
	return s, nil
}

// What a sample is of: its label "what".
const (
	ofPage        = "page"
	ofComponent   = "component"
	ofIncident    = "incident"
	ofMaintenance = "maintenance"
)

// samples are the page, its components and what it tells of incidents. at is
// when it was read; redact leaves out of a text what must not be told.
func (s *summary) samples(at time.Time, redact func(string) string) []signalbox.Sample {
	out := make([]signalbox.Sample, 0, 1+len(s.Components)+len(s.Incidents)+len(s.Maintenances))
	add := func(bad float64, labels map[string]string) {
		for n, v := range labels {
			labels[n] = httpclient.Plain(redact(v), maxText)
		}
		out = append(out, signalbox.Sample{Labels: labels, Value: bad, At: at})
	}
	page, parts := pageWords(), componentWords()
	add(page[s.Status.Indicator], map[string]string{
		"what": ofPage, "id": s.Page.ID, "name": s.Page.Name, "link": webLink(redact(s.Page.URL)),
		"status": s.Status.Indicator, "description": s.Status.Description,
	})
	groups := map[string]string{}
	for _, c := range s.Components {
		groups[c.ID] = c.Name
	}
	for _, c := range s.Components {
		add(parts[c.Status], map[string]string{"what": ofComponent, "id": c.ID, "name": c.Name, "group": groups[c.GroupID], "status": c.Status})
	}
	for _, i := range s.Incidents {
		add(0, i.labels(ofIncident, redact))
	}
	for _, i := range s.Maintenances {
		add(0, i.labels(ofMaintenance, redact))
	}
	return out
}

func (i incident) labels(what string, redact func(string) string) map[string]string {
	labels := map[string]string{"what": what, "id": i.ID, "name": i.Name, "status": i.Status, "impact": i.Impact, "link": webLink(redact(i.Link))}
	for _, c := range i.Components {
		if c.ID != "" && len(c.ID) <= maxText {
			labels["component:"+c.ID] = "touched"
		}
	}
	return labels
}

// webLink returns s if a person can safely follow it: an absolute http or https
// URL of moderate length without a credential.
func webLink(s string) string {
	u, err := url.Parse(s)
	if err != nil || len(s) > maxText || strings.ContainsAny(s, " \"<>") || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return u.String()
}
