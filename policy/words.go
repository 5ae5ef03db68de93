package policy

import (
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// span writes a length of time for people.
func span(d time.Duration) string {
	if d.Abs() >= time.Second {
		d = d.Round(time.Second)
	} else {
		d = d.Round(time.Millisecond)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-len("0s")]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-len("0m")]
	}
	return s
}

// clock writes a moment for people.
func clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func joinAnd(parts []string) string { return strings.Join(parts, "; ") }

// throw names a step for people: "read-endpoint to replica-b".
func throw(s *signalbox.Step) string {
	if s.To == "" {
		return s.Name
	}
	return s.Name + " to " + s.To
}
