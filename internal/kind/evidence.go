package kind

import (
	"context"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// LookSettings is what the configuration says to one look at a source: what
// people want to see of it beside an incident.
type LookSettings interface {
	Settings
	// Field says what is wrong with a field of the source that must equal a label
	// of the incident: "must be …"; empty: nothing.
	Field(name string) (rule string)
	// Build makes the look. opened is what the source's Open returned.
	Build(name string, opened any) (Look, error)
}

// Look asks a source what it saw around an incident. It only reads, is safe for
// concurrent use, and no error of it holds a secret.
type Look interface {
	// Look returns what it found, the newest first, at most a.Most. Name is left
	// to the caller. An answer that is known to lack something is an error.
	Look(ctx context.Context, a Around) ([]signalbox.Finding, error)
}

// Around says around what is looked.
type Around struct {
	// Same are the source's fields that must have these values: of labels of the
	// incident, and so untrusted.
	Same     map[string]string
	From, To time.Time
	Most     int // at least 1
}
