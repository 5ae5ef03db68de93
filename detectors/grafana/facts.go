package grafana

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
)

// facts are what a panel's values depend on, as people know it.
type facts struct {
	dashboard, title string
	datasource       string
	unit             string
	query            string            // as it is saved, with its variables
	variables        map[string]string // that it uses, as they were filled in
	rest             [32]byte          // of its query's other keys
}

func factsOf(d *definition, m *panelModel, t *target, ds *datasource, unit string, used map[string]string) facts {
	key, text := textOf(t.raw)
	rest := make(map[string]any, len(t.raw))
	for k, v := range t.raw {
		if !unasked(k) && k != key {
			rest[k] = v
		}
	}
	raw, _ := json.Marshal(rest) // it came from JSON; the keys are sorted
	return facts{
		dashboard: d.board.Dashboard.Title, title: or(string(m.Title), d.panel.title(nil)),
		datasource: ds.words(), unit: or(unit, "none"), query: text, variables: maps.Clone(used), rest: sha256.Sum256(raw),
	}
}

// words name a data source, and the server that it asks.
func (d *datasource) words() string {
	if u, err := url.Parse(d.URL); err == nil && u.Host != "" {
		return fmt.Sprintf("%s (%s at %s)", d.Name, d.UID, u.Host)
	}
	return fmt.Sprintf("%s (%s)", d.Name, d.UID)
}

// changes say what differs in now, for people.
func (f facts) changes(now facts) []string {
	var list []string
	differs := func(what, was, is string) {
		if was != is {
			list = append(list, fmt.Sprintf("%s was %q, and is %q", what, plain(was), plain(is)))
		}
	}
	differs("its query", f.query, now.query)
	differs("its data source", f.datasource, now.datasource)
	differs("its unit", f.unit, now.unit)
	for _, name := range slices.Sorted(maps.Keys(f.variables)) {
		if is, still := now.variables[name]; still {
			differs("its variable $"+plain(name), f.variables[name], is)
		}
	}
	differs("its title", f.title, now.title)
	differs("its dashboard's title", f.dashboard, now.dashboard)
	if f.rest != now.rest {
		list = append(list, "its query has other settings")
	}
	return list
}

// textKeys are where data sources keep a query's text.
var textKeys = []string{"rawSql", "expr", "query", "rawQuery", "target"}

// textOf finds the query's text, for people, and its key.
func textOf(q map[string]any) (key, text string) {
	for _, key := range textKeys {
		if text, ok := q[key].(string); ok && text != "" {
			return key, text
		}
	}
	return "", "(a query of its own form)"
}
