package grafana

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/signalbox/signalbox/internal/httpclient"
)

// datasource is one of the answer of GET /api/datasources.
type datasource struct {
	UID       string          `json:"uid"`
	Name      string          `json:"name"`
	Type      string          `json:"type"`
	URL       string          `json:"url"`
	IsDefault bool            `json:"isDefault"`
	JSONData  json.RawMessage `json:"jsonData"`
}

// language is what a data source's queries are written in.
type language uint8

const (
	noLanguage language = iota // what is filled in is no query: the name of a data source
	otherLanguage
	promQL
	logQL
	sqlLanguage
)

// languageOf knows the types of data sources.
func languageOf(kind string) language {
	switch kind {
	case "prometheus", "grafana-amazonprometheus-datasource", "grafana-azureprometheus-datasource":
		return promQL
	case "loki":
		return logQL
	case "mysql", "postgres", "grafana-postgresql-datasource", "mssql":
		return sqlLanguage
	}
	return otherLanguage
}

// origin is who measures: the data source's own server, where its type is one
// of which detectors know the origin too.
func (d *datasource) origin() string {
	u, err := url.Parse(d.URL)
	if err != nil || u.Host == "" || local(u.Hostname()) { // its own host is not ours
		return ""
	}
	switch languageOf(d.Type) {
	case promQL:
		return "prometheus:" + u.Host
	case logQL:
		return "loki:" + u.Host
	}
	return ""
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// scrapeInterval is what the data source says of it; "" where it says nothing.
func (d *datasource) scrapeInterval() string {
	var settings struct {
		TimeInterval text `json:"timeInterval"`
	}
	_ = json.Unmarshal(d.JSONData, &settings) // another shape says nothing
	return string(settings.TimeInterval)
}

// resolveSource finds the data source that a panel means.
// A uid or a name may be a variable: fill puts its value in.
func resolveSource(list []datasource, ref datasourceRef, fill func(string) (string, error)) (*datasource, error) {
	name, err := fill(or(ref.UID, ref.Name))
	if err != nil {
		return nil, fmt.Errorf("its data source: %w", err)
	}
	d, err := sourceNamed(list, name, ref.Type)
	if err != nil {
		return nil, err
	}
	// A variable may have another type than the one that was saved beside it.
	if ref.Type != "" && !strings.ContainsAny(ref.Type, "$[") && ref.Type != d.Type && languageOf(ref.Type) != languageOf(d.Type) {
		return nil, fmt.Errorf("its data source %q is of type %s, and the panel is made for %s", plain(d.Name), plain(d.Type), plain(ref.Type))
	}
	return d, nil
}

// sourceNamed finds a data source by uid, then by name; "" and "default" are
// the default one, and with a type alone the default one of that type.
func sourceNamed(list []datasource, name, kind string) (*datasource, error) {
	var byName, ofKind []*datasource
	var fallback *datasource
	for i := range list {
		d := &list[i]
		switch {
		case d.UID == name && name != "":
			return d, nil
		case d.Name == name && name != "":
			byName = append(byName, d)
		}
		if d.IsDefault {
			fallback = d
		}
		if d.Type == kind {
			ofKind = append(ofKind, d)
		}
	}
	switch {
	case len(byName) == 1:
		return byName[0], nil
	case len(byName) > 1:
		return nil, fmt.Errorf("its data source %q is the name of several", plain(name))
	case name != "" && name != "default":
		return nil, fmt.Errorf("its data source %q %w", plain(name), errVanished)
	case fallback != nil && (kind == "" || fallback.Type == kind):
		return fallback, nil
	case kind != "" && len(ofKind) == 1:
		return ofKind[0], nil
	case kind != "":
		return nil, fmt.Errorf("it names no data source, %d are of type %s and the default one is not: choose one in the panel", len(ofKind), plain(kind))
	}
	return nil, fmt.Errorf("it names no data source, and there is no default one: choose one in the panel")
}

// plain makes one bounded line of a foreign text.
func plain(s string) string { return httpclient.Plain(s, 200) }
