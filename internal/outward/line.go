package outward

import (
	"encoding/json"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
)

// maxLine is the longest line in bytes: Loki's default max_line_size.
const maxLine = 256 << 10

// cutEntry is what is told of an entry that is too long for a line.
type cutEntry struct {
	V        int                  `json:"v"`
	Seq      uint64               `json:"seq"`
	At       time.Time            `json:"at"`
	Kind     journal.Kind         `json:"kind"`
	Incident signalbox.IncidentID `json:"incident,omitempty"`
	Action   signalbox.ActionID   `json:"action,omitempty"`
	Who      string               `json:"who,omitempty"`
	Cut      int                  `json:"cut"` // bytes of the whole
	Hash     string               `json:"hash"`
	Prev     string               `json:"prev"`
}

// lineOf is the entry as it is stored, or what fits of it.
func lineOf(l *journal.Line) string {
	if len(l.Stored) <= maxLine {
		return string(l.Stored)
	}
	b, err := json.Marshal(cutEntry{l.V, l.Seq, l.At, l.Kind, l.Incident, l.Action, l.Who, len(l.Stored), l.Hash(), l.Prev})
	if err != nil { // a time that JSON can't hold, which was read from JSON
		return "{}"
	}
	return string(b)
}
