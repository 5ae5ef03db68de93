package grafana

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	signalbox "github.com/signalbox/signalbox"
)

// reference names a query of a panel, and the unit that its value is wanted
// in. Its encoding is the Query of a Question, and so is canonical: equal
// references are asked once.
type reference struct {
	Dashboard string            `json:"dashboard"`
	Panel     string            `json:"panel"`
	Query     string            `json:"query,omitempty"`
	Variables map[string]string `json:"variables,omitempty"` // encoded in the order of their names
	Unit      signalbox.Unit    `json:"unit,omitempty"`
}

func (r reference) encode() string {
	if len(r.Variables) == 0 {
		r.Variables = nil
	}
	b, err := json.Marshal(r)
	if err != nil { // strings only: it can't be
		return ""
	}
	return string(b)
}

var errReference = errors.New("the question names no panel")

// parseReference reads what encode wrote.
func parseReference(text string) (reference, error) {
	var r reference
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil || r.Dashboard == "" || r.Panel == "" {
		return reference{}, errReference
	}
	return r, nil
}

// place is where the panel is, for people.
func (r reference) place() string {
	return fmt.Sprintf("dashboard %q, panel %q", r.Dashboard, r.Panel)
}
