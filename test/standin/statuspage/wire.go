package statuspage

import (
	"slices"
	"time"
)

// wire is the page as it is sent.
func (p Page) wire() map[string]any {
	components, worst := make([]any, 0, len(p.Components)), 0
	degrees := []string{"operational", "under_maintenance", "degraded_performance", "partial_outage", "major_outage"}
	byID := map[string]any{}
	for _, c := range p.Components {
		wire := c.wire(p)
		components = append(components, wire)
		byID[c.ID] = wire
		worst = max(worst, slices.Index(degrees, wire["status"].(string)))
	}
	indicator := p.Indicator
	if indicator == "" {
		indicator = []string{"none", "maintenance", "minor", "major", "critical"}[worst]
	}
	incidents, maintenances := []any{}, []any{}
	for _, i := range p.Incidents {
		if i.Status == "resolved" {
			continue
		}
		if i.Maintenance {
			maintenances = append(maintenances, i.wire(p, byID))
		} else {
			incidents = append(incidents, i.wire(p, byID))
		}
	}
	return map[string]any{
		"page":       map[string]any{"id": p.ID, "name": p.Name, "url": "https://status.example.com", "time_zone": "Etc/UTC", "updated_at": stamp(p.UpdatedAt)},
		"status":     map[string]any{"indicator": indicator, "description": "The state of the page in words"},
		"components": components, "incidents": incidents, "scheduled_maintenances": maintenances,
	}
}

func (c Component) wire(p Page) map[string]any {
	wire := map[string]any{
		"id": c.ID, "name": c.Name, "status": or(c.Status, "operational"), "description": nil, "page_id": p.ID,
		"created_at": stamp(p.UpdatedAt), "updated_at": stamp(p.UpdatedAt), "position": 1, "showcase": false, "start_date": nil,
		"group_id": nil, "group": c.IsGroup, "only_show_if_degraded": false,
	}
	if c.Group != "" {
		wire["group_id"] = c.Group
	}
	if c.IsGroup {
		members := []string{}
		for _, m := range p.Components {
			if m.Group == c.ID {
				members = append(members, m.ID)
			}
		}
		wire["components"] = members
	}
	return wire
}

func (i Incident) wire(p Page, byID map[string]any) map[string]any {
	touched := []any{}
	for _, id := range i.Components {
		if c, ok := byID[id]; ok {
			touched = append(touched, c)
		}
	}
	wire := map[string]any{
		"id": i.ID, "name": i.Name, "status": i.Status, "impact": or(i.Impact, "minor"), "shortlink": "https://stspg.io/" + i.ID, "page_id": p.ID,
		"created_at": stamp(p.UpdatedAt), "updated_at": stamp(p.UpdatedAt), "monitoring_at": nil, "resolved_at": nil, "started_at": stamp(p.UpdatedAt),
		"components": touched, "incident_updates": []any{map[string]any{
			"id": i.ID + "u", "status": i.Status, "body": "We look into it.", "incident_id": i.ID, "created_at": stamp(p.UpdatedAt),
			"updated_at": stamp(p.UpdatedAt), "display_at": stamp(p.UpdatedAt), "deliver_notifications": true, "custom_tweet": nil, "tweet_id": nil,
		}},
	}
	if i.Maintenance {
		wire["impact"] = or(i.Impact, "maintenance")
		wire["scheduled_for"], wire["scheduled_until"] = stamp(p.UpdatedAt.Add(time.Hour)), stamp(p.UpdatedAt.Add(2*time.Hour))
	}
	return wire
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}
