package calendar

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
	_ "time/tzdata" // for images without a system's own

	"github.com/emersion/go-ical"

	"github.com/signalbox/signalbox/internal/httpclient"
)

// maxChanges bounds how often a time zone changes its offset: Outlook's begin
// in 1601.
const maxChanges = 4096

// zone finds a time zone: by its name in the IANA's database, which knows more
// of it than a calendar does, else by the VTIMEZONE of that name.
func (r *reading) zone(id string) (*time.Location, error) {
	if loc := r.zones[id]; loc != nil {
		return loc, nil
	}
	loc, err := time.LoadLocation(id)
	if err != nil || id == "Local" || id == "" {
		d := r.defined[id]
		if d == nil {
			return nil, fmt.Errorf("time zone %q is not known, and no VTIMEZONE defines it", httpclient.Plain(id, maxName))
		}
		if loc, err = r.define(id, d); err != nil {
			return nil, fmt.Errorf("time zone %q: %w", httpclient.Plain(id, maxName), err)
		}
	}
	r.zones[id] = loc
	return loc, nil
}

// change is one change of a zone's offset.
type change struct {
	at int64 // Unix
	to int   // offset in seconds
}

// define makes a time zone of its definition.
func (r *reading) define(id string, zone *ical.Component) (*time.Location, error) {
	var all []change
	first, begin := 0, time.Time{}
	for _, part := range zone.Children {
		if part.Name != ical.CompTimezoneStandard && part.Name != ical.CompTimezoneDaylight {
			continue
		}
		before, err := offset(part, ical.PropTimezoneOffsetFrom)
		if err != nil {
			return nil, err
		}
		after, err := offset(part, ical.PropTimezoneOffsetTo)
		if err != nil {
			return nil, err
		}
		walls, err := r.onsets(part, before)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.Name, err)
		}
		if begin.IsZero() || walls[0].Before(begin) {
			first, begin = before, walls[0]
		}
		for _, wall := range walls {
			all = append(all, change{wall.Unix() - int64(before), after})
		}
		if len(all) > maxChanges {
			return nil, fmt.Errorf("it must change at most %d times", maxChanges)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("its VTIMEZONE has neither STANDARD nor DAYLIGHT")
	}
	slices.SortFunc(all, func(a, b change) int { return int(max(-1, min(1, a.at-b.at))) })
	return time.LoadLocationFromTZData(id, tzif(first, all))
}

// onsets are when a part of a zone begins, on the clock on the wall before, up
// to a year after the windows.
func (r *reading) onsets(part *ical.Component, before int) ([]time.Time, error) {
	begin := part.Props.Get(ical.PropDateTimeStart)
	if begin == nil {
		return nil, errors.New("DTSTART is missing")
	}
	start, err := moment(begin.Value, time.UTC)
	if err != nil {
		return nil, err
	}
	walls := []time.Time{start}
	for _, p := range part.Props[ical.PropRecurrenceDates] {
		list, err := (&reading{floating: time.UTC}).moments(&ical.Prop{Value: p.Value})
		if err != nil {
			return nil, fmt.Errorf("RDATE: %w", err)
		}
		walls = append(walls, list...)
	}
	for _, p := range part.Props[ical.PropRecurrenceRule] {
		rule, err := ruleOf(p.Value, start)
		if err != nil {
			return nil, fmt.Errorf("RRULE: %w", err)
		}
		rule.Until(rule.OrigOptions.Until.Add(time.Duration(before) * time.Second)) // it is in UTC, where the rest is on the wall
		next := rule.Iterator()
		for at, ok := next(); ok && at.Before(r.to.AddDate(1, 0, 0)); at, ok = next() {
			if walls = append(walls, at); len(walls) > maxChanges {
				return nil, fmt.Errorf("it must change at most %d times", maxChanges)
			}
			if time.Now().After(r.until) { //nolint:forbidigo // bounds the work, decides nothing
				return nil, errPatience
			}
		}
	}
	return walls, nil
}

var offsetForm = regexp.MustCompile(`^([+-])([0-9]{2})([0-5][0-9])([0-5][0-9])?$`)

// offset reads how many seconds a zone is ahead of UTC.
func offset(part *ical.Component, name string) (int, error) {
	p := part.Props.Get(name)
	if p == nil {
		return 0, fmt.Errorf("%s: %s is missing", part.Name, name)
	}
	m := offsetForm.FindStringSubmatch(p.Value)
	if m == nil || m[2] > "23" {
		return 0, fmt.Errorf("%s: %s: %q is no offset, like +0100", part.Name, name, httpclient.Plain(p.Value, 40))
	}
	h, _ := strconv.Atoi(m[2]) // digits, or nothing
	minutes, _ := strconv.Atoi(m[3])
	seconds, _ := strconv.Atoi(m[4])
	n := h*3600 + minutes*60 + seconds
	if m[1] == "-" {
		n = -n
	}
	return n, nil
}

// tzif writes a time zone as the time package reads it: RFC 8536, version 2, of
// which the part with 32 bits is empty.
func tzif(first int, all []change) []byte {
	offsets := []int{first} // the one before the first change
	index := map[int]byte{first: 0}
	for _, c := range all {
		if _, is := index[c.to]; !is && len(offsets) < 256 {
			index[c.to] = byte(len(offsets))
			offsets = append(offsets, c.to)
		}
	}
	var b bytes.Buffer
	header := func(times, types, chars int) {
		b.WriteString("TZif2")
		b.Write(make([]byte, 15))
		for _, n := range []int{0, 0, 0, times, types, chars} {
			_ = binary.Write(&b, binary.BigEndian, uint32(n))
		}
	}
	header(0, 0, 0)
	header(len(all), len(offsets), 1)
	for _, c := range all {
		_ = binary.Write(&b, binary.BigEndian, c.at)
	}
	for _, c := range all {
		b.WriteByte(index[c.to])
	}
	for _, o := range offsets {
		_ = binary.Write(&b, binary.BigEndian, int32(o))
		b.Write([]byte{0, 0}) // no summer time, and no name
	}
	b.WriteString("\x00\n\n")
	return b.Bytes()
}
