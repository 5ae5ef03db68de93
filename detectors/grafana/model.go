package grafana

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// panelModel is a panel's own JSON, as far as it says what is asked and shown.
type panelModel struct {
	Title           text             `json:"title"`
	Datasource      datasourceRef    `json:"datasource"`
	Targets         []target         `json:"targets"`
	Transformations []transformation `json:"transformations"`
	FieldConfig     struct {
		Defaults struct {
			Unit text `json:"unit"`
		} `json:"defaults"`
		Overrides []override `json:"overrides"`
	} `json:"fieldConfig"`
	YAxes []struct {
		Format text `json:"format"`
	} `json:"yaxes"` // of the old graph panel
	Format        text   `json:"format"` // of the old singlestat panel
	Interval      text   `json:"interval"`
	MaxDataPoints number `json:"maxDataPoints"`
	TimeFrom      text   `json:"timeFrom"`
	TimeShift     text   `json:"timeShift"`
	Repeat        text   `json:"repeat"`
}

type transformation struct {
	ID       text `json:"id"`
	Disabled bool `json:"disabled"`
}

type override struct {
	Matcher struct {
		ID      text `json:"id"`
		Options text `json:"options"`
	} `json:"matcher"`
	Properties []struct {
		ID    text `json:"id"`
		Value text `json:"value"`
	} `json:"properties"`
}

// target is one query of a panel; its other keys belong to its data source.
type target struct {
	RefID      string        `json:"refId"`
	Hide       bool          `json:"hide"`
	Datasource datasourceRef `json:"datasource"`
	raw        map[string]any
}

// UnmarshalJSON keeps all keys.
func (t *target) UnmarshalJSON(b []byte) error {
	type plain target
	if err := json.Unmarshal(b, (*plain)(t)); err != nil {
		return err
	}
	return json.Unmarshal(b, &t.raw)
}

// datasourceRef names a data source: absent (the default one), a name, or an
// object with its type and uid.
type datasourceRef struct {
	Given bool
	Type  string
	UID   string
	Name  string
}

// UnmarshalJSON reads any of the three.
func (d *datasourceRef) UnmarshalJSON(b []byte) error {
	var name string
	var object struct {
		Type text `json:"type"`
		UID  text `json:"uid"`
	}
	switch {
	case string(b) == "null":
		*d = datasourceRef{}
	case json.Unmarshal(b, &name) == nil:
		*d = datasourceRef{Given: name != "", Name: name}
	default:
		if err := json.Unmarshal(b, &object); err != nil {
			return err
		}
		*d = datasourceRef{Given: object.UID != "" || object.Type != "", Type: string(object.Type), UID: string(object.UID)}
	}
	return nil
}

// The data sources that Grafana has of its own.
const (
	mixedSource      = "-- Mixed --"
	dashboardSource  = "-- Dashboard --"
	grafanaSource    = "-- Grafana --"
	expressionSource = "__expr__"
)

// orDetector is what can always be written instead.
const orDetector = "or write the query in a detector on its data source"

// readModel decodes a panel, and refuses what makes its values uncertain.
func readModel(p panel, library json.RawMessage) (*panelModel, error) {
	raw := p.raw
	if library != nil {
		raw = library
	}
	m := &panelModel{}
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("its model can't be read: %s", plain(err.Error()))
	}
	if repeat := or(string(p.Repeat), or(string(m.Repeat), p.in.repeated)); repeat != "" {
		return nil, fmt.Errorf("it is repeated for each value of $%s, so that it is not one panel: make one that isn't, with the variable's values in its query, "+orDetector, plain(repeat))
	}
	for _, t := range m.Transformations {
		if !t.Disabled {
			return nil, fmt.Errorf("it changes its values by the transformation %q, which happens in the browser only: do it in the query, "+orDetector, plain(string(t.ID)))
		}
	}
	if m.TimeShift != "" {
		return nil, fmt.Errorf("it is shifted back in time by %s, so that it does not show the present: make one that isn't, "+orDetector, plain(string(m.TimeShift)))
	}
	return m, nil
}

// pick returns the one query that is meant.
func (m *panelModel) pick(refID string) (*target, error) {
	var shown []string
	for i := range m.Targets {
		t := &m.Targets[i]
		switch {
		case t.RefID == refID && refID != "" && t.Hide:
			return nil, fmt.Errorf("its query %s is hidden, so that the panel does not show it: show it, or name another", plain(refID))
		case t.RefID == refID && refID != "":
			return t, nil
		case !t.Hide:
			shown = append(shown, plain(t.RefID))
		}
	}
	switch {
	case refID != "":
		return nil, fmt.Errorf("it has no query %s; it has %s", plain(refID), or(strings.Join(shown, ", "), "none that is shown"))
	case len(shown) == 0:
		return nil, fmt.Errorf("it has no query that is shown")
	case len(shown) > 1:
		return nil, fmt.Errorf("it has several queries: write which one is meant, query: one of %s", strings.Join(shown[:min(len(shown), maxNamed)], ", "))
	}
	for i := range m.Targets {
		if !m.Targets[i].Hide {
			return &m.Targets[i], nil
		}
	}
	return nil, fmt.Errorf("it has no query that is shown")
}

// source is which data source a query asks.
func (m *panelModel) source(t *target) (datasourceRef, error) {
	d := m.Datasource
	mixed := d.Name == mixedSource || d.UID == mixedSource
	if t.Datasource.Given {
		d = t.Datasource
	}
	name := or(d.UID, d.Name)
	switch {
	case mixed:
		return d, errors.New("it mixes data sources: make a panel with one, " + orDetector)
	case name == dashboardSource || d.Type == "datasource" && name == dashboardSource:
		return d, fmt.Errorf("it shows the answers of another panel: name that one")
	case name == grafanaSource || name == "grafana" || d.Type == "datasource":
		return d, fmt.Errorf("it shows Grafana's own data, which is no measurement: name another panel")
	case name == expressionSource || d.Type == expressionSource:
		return d, fmt.Errorf("its query %s is an expression on other queries: name one of those, or write the expression in its data source's language", plain(t.RefID))
	}
	return d, nil
}
