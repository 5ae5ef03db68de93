package calendar

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/emersion/go-ical"
)

// Bounds of one line, and of how deep components nest.
const (
	maxLine   = 256 << 10
	maxParams = 1 << 10
	maxDepth  = 8
)

// used are the properties that are read. Others are left out before the text is
// decoded: attachments and descriptions are most of it.
var used = map[string]bool{
	"BEGIN": true, "END": true, "X-WR-TIMEZONE": true,
	ical.PropUID: true, ical.PropSummary: true, ical.PropStatus: true,
	ical.PropDateTimeStart: true, ical.PropDateTimeEnd: true, ical.PropDuration: true,
	ical.PropRecurrenceRule: true, ical.PropRecurrenceDates: true, ical.PropExceptionDates: true, ical.PropRecurrenceID: true,
	ical.PropTimezoneID: true, ical.PropTimezoneOffsetFrom: true, ical.PropTimezoneOffsetTo: true,
}

// prepare joins folded lines and keeps those that are used, within bounds: what
// decodes them recurses, and is slow on long parameters.
func prepare(ics []byte) (io.Reader, error) {
	ics = bytes.TrimPrefix(ics, []byte("\xef\xbb\xbf"))
	var out bytes.Buffer
	depth, events, first := 0, 0, true
	for len(ics) > 0 {
		var line []byte
		line, ics = unfold(ics)
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if first && !strings.EqualFold(string(bytes.TrimSpace(line)), "BEGIN:VCALENDAR") {
			return nil, fmt.Errorf("it is no calendar: it does not begin with BEGIN:VCALENDAR")
		}
		first = false
		end := bytes.IndexAny(line, ";:")
		if end <= 0 {
			return nil, fmt.Errorf("it is no calendar: a line has no name and value")
		}
		prop := upper(string(line[:end]))
		if !used[prop] {
			continue
		}
		if len(line) > maxLine || params(line) > maxParams {
			return nil, fmt.Errorf("%s: a line must have at most %d bytes, and %d before its value", prop, maxLine, maxParams)
		}
		switch prop {
		case "BEGIN":
			if value := upper(string(bytes.TrimSpace(line[end+1:]))); value == ical.CompEvent {
				events++
			}
			depth++
		case "END":
			depth--
		}
		if depth > maxDepth {
			return nil, fmt.Errorf("it is nested deeper than %d", maxDepth)
		}
		if events > maxEvents {
			return nil, fmt.Errorf("a calendar must have at most %d events", maxEvents)
		}
		out.Write(bytes.TrimRight(line, " \t"))
		out.WriteString("\r\n")
	}
	if first {
		return nil, fmt.Errorf("it is empty")
	}
	if depth != 0 {
		return nil, fmt.Errorf("it is cut off: a BEGIN has no END")
	}
	return &out, nil
}

// unfold returns the next line, joined with those that continue it.
func unfold(text []byte) (line, rest []byte) {
	cut := func() []byte {
		var one []byte
		one, text, _ = bytes.Cut(text, []byte("\n"))
		return bytes.TrimSuffix(one, []byte("\r"))
	}
	line = cut()
	for joined := false; len(text) > 0 && (text[0] == ' ' || text[0] == '\t'); joined = true {
		text = text[1:]
		if !joined {
			line = bytes.Clone(line)
		}
		line = append(line, cut()...)
	}
	return line, text
}

// params is the length of a line before its value.
func params(line []byte) int {
	quoted := false
	for i, b := range line {
		switch {
		case b == '"':
			quoted = !quoted
		case b == ':' && !quoted:
			return i
		}
	}
	return len(line)
}

func upper(s string) string { return strings.ToUpper(s) }
