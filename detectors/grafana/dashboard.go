package grafana

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/signalbox/signalbox/internal/httpclient"
)

// Bounds of what a dashboard may hold.
const (
	maxPanels = 5_000
	maxDepth  = 4 // rows within rows; Grafana has one level
	maxNamed  = 10
)

// board is the answer of GET /api/dashboards/uid/{uid}. A v1 dashboard's
// JSON model is described at
// https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/.
type board struct {
	Dashboard dashboard `json:"dashboard"`
	Meta      struct {
		FolderTitle string `json:"folderTitle"`
		IsFolder    bool   `json:"isFolder"`
		APIVersion  string `json:"apiVersion"`
		Version     int64  `json:"version"`
	} `json:"meta"`
	Status struct {
		Conversion struct {
			StoredVersion string `json:"storedVersion"`
			Failed        bool   `json:"failed"`
		} `json:"conversion"`
	} `json:"status"`
}

type dashboard struct {
	UID        string            `json:"uid"`
	Title      string            `json:"title"`
	Panels     []json.RawMessage `json:"panels"`
	Rows       []json.RawMessage `json:"rows"` // before schema version 16
	Elements   json.RawMessage   `json:"elements"`
	Templating struct {
		List []variable `json:"list"`
	} `json:"templating"`
	Time struct {
		From text `json:"from"`
		To   text `json:"to"`
	} `json:"time"`

	all []panel // those in rows too, and without the rows
}

// panel is what must be known of each panel; raw is the whole of it.
type panel struct {
	ID        number            `json:"id"`
	Title     text              `json:"title"`
	Type      text              `json:"type"`
	Collapsed bool              `json:"collapsed"`
	Panels    []json.RawMessage `json:"panels"` // of a collapsed row
	Repeat    text              `json:"repeat"`
	RepeatOf  number            `json:"repeatPanelId"` // a copy that an older Grafana saved
	Library   *libraryPanel     `json:"libraryPanel"`
	Targets   json.RawMessage   `json:"targets"`
	raw       json.RawMessage
	in        row
}

// row is the row that a panel is in.
type row struct {
	title    string
	repeated string // the variable by which it is repeated
}

type libraryPanel struct {
	UID  text `json:"uid"`
	Name text `json:"name"`
}

// decodeBoard reads the answer of GET /api/dashboards/uid/{uid}. Its error
// holds nothing of the answer's values.
func decodeBoard(body []byte) (*board, error) {
	b, err := httpclient.DecodeJSON[*board](body)
	switch {
	case err != nil:
		return nil, err
	case b == nil:
		return nil, errNoBoard
	}
	d := &b.Dashboard
	if err := d.gather(d.Panels, row{}, 0); err != nil {
		return nil, err
	}
	return b, d.gather(d.Rows, row{}, 0)
}

// gather adds panels, and those of rows.
func (d *dashboard) gather(list []json.RawMessage, in row, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("its rows are nested more than %d deep", maxDepth)
	}
	for _, raw := range list {
		var p panel
		// What does not fit here is missed by whoever needs it; the other
		// panels are not ill with it.
		_ = json.Unmarshal(raw, &p)
		if p.Type != "row" && (p.Type != "" || len(p.Panels) == 0) {
			if len(d.all) == maxPanels {
				return fmt.Errorf("it has more than %d panels", maxPanels)
			}
			p.raw, p.in = raw, in
			d.all = append(d.all, p)
			continue
		}
		own := row{title: string(p.Title), repeated: or(string(p.Repeat), in.repeated)}
		if err := d.gather(p.Panels, own, depth+1); err != nil {
			return err
		}
		if depth == 0 && p.Type == "row" { // what follows an open row is in it
			in = row{title: own.title, repeated: string(p.Repeat)}
		}
	}
	return nil
}

// text is a string where older dashboards have numbers, objects or null, which
// then count as their JSON text.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	switch {
	case string(b) == "null":
		*t = ""
	case json.Unmarshal(b, &s) == nil:
		*t = text(s)
	default:
		*t = text(b)
	}
	return nil
}

// number is a whole number where some dashboards have a string or null.
type number int64

func (n *number) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	if err != nil || f != f || f > 1<<53 || f < -1<<53 {
		f = 0
	}
	*n = number(f)
	return nil
}

func formatInt[T ~int | ~int64](n T) string { return strconv.FormatInt(int64(n), 10) }

var errNoBoard = errors.New("the answer holds no dashboard")

// errSchema2 is said of dashboards that the API converts.
var errSchema2 = errors.New("it is stored in the new schema (v2), which Grafana's HTTP API converts with loss, so that its panels can't be known for certain: save it in the classic schema, " + orDetector)

// check refuses what is no classic dashboard.
func (b *board) check() error {
	switch {
	case isSchema2(b.Status.Conversion.StoredVersion), isSchema2(b.Meta.APIVersion), b.Status.Conversion.Failed,
		len(b.Dashboard.Elements) > 0 && string(b.Dashboard.Elements) != "null":
		return errSchema2
	case b.Meta.IsFolder:
		return errors.New("it is a folder")
	case b.Dashboard.UID == "":
		return errNoBoard
	}
	return nil
}

// isSchema2 reads a version of the API: "v2beta1", "dashboard.grafana.app/v2".
func isSchema2(version string) bool {
	return strings.HasPrefix(version[strings.LastIndexByte(version, '/')+1:], "v2")
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// find returns the one panel of that title, with its row before it where the
// title is not unique, or of that number. titles gives the titles
// of library panels that the dashboard does not tell.
func (d *dashboard) find(name string, titles map[string]string) (panel, error) {
	var found []panel
	for _, p := range d.all {
		title := p.title(titles)
		if p.RepeatOf == 0 && (title == name || formatInt(p.ID) == name || p.in.title != "" && p.in.title+"/"+title == name) {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return panel{}, fmt.Errorf("%w; there are %s", errNoPanel, named(d.all, titles))
	}
	return panel{}, fmt.Errorf("%d panels have that name: write the number of the one that is meant, or its row before it: %s", len(found), named(found, titles))
}

func (p *panel) title(titles map[string]string) string {
	if p.Title == "" && p.Library != nil {
		return or(titles[string(p.Library.UID)], string(p.Library.Name))
	}
	return string(p.Title)
}

// named lists panels for people, a bounded number of them.
func named(list []panel, titles map[string]string) string {
	var words []string
	for _, p := range list {
		if len(words) == maxNamed {
			words = append(words, fmt.Sprintf("and %d more", len(list)-maxNamed))
			break
		}
		title := p.title(titles)
		if p.in.title != "" {
			title = p.in.title + "/" + title
		}
		words = append(words, fmt.Sprintf("%q (%d)", plain(title), p.ID))
	}
	if words == nil {
		return "none"
	}
	return strings.Join(words, ", ")
}
