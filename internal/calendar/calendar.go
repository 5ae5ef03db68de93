// Package calendar reads iCalendar files (RFC 5545): which times their events
// cover. Each event that is not cancelled counts, also one that is tentative or
// that leaves its owner free: who writes it into a calendar of freezes means it.
//
// What it can't make sense of is an error, never left out: a freeze that is not
// seen is a switch that is thrown in it.
package calendar

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/emersion/go-ical"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
)

// Bounds of what is read.
const (
	MaxBytes   = 10 << 20
	maxEvents  = 10_000
	maxWindows = 10_000
	// patience bounds the time for which rules are expanded: one that matches no
	// day at all is looked at up to the year 9999.
	patience = 10 * time.Second
	maxName  = 120 // bytes
)

// Parse returns the times that the events of an iCalendar file cover and that
// overlap with those between from and to, sorted. Times without a zone are in
// the calendar's X-WR-TIMEZONE, else in UTC; the same goes for whole days. It
// is safe for concurrent use.
func Parse(ics []byte, from, to time.Time) ([]signalbox.Window, error) {
	if len(ics) > MaxBytes {
		return nil, fmt.Errorf("a calendar must have at most %d MiB", MaxBytes>>20)
	}
	text, err := prepare(ics)
	if err != nil {
		return nil, err
	}
	calendars, err := decode(text)
	if err != nil {
		return nil, err
	}
	r := &reading{from: from, to: to, until: time.Now().Add(patience), //nolint:forbidigo // bounds the work, decides nothing
		defined: map[string]*ical.Component{}, zones: map[string]*time.Location{}}
	for _, c := range calendars {
		for _, part := range c.Children {
			if id := part.Props.Get(ical.PropTimezoneID); part.Name == ical.CompTimezone && id != nil {
				r.defined[id.Value] = part
			}
		}
	}
	for _, c := range calendars {
		if err := r.calendar(c); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(r.windows, func(a, b signalbox.Window) int {
		return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To), cmp.Compare(a.Name, b.Name))
	})
	return slices.CompactFunc(r.windows, func(a, b signalbox.Window) bool {
		return a.Name == b.Name && a.From.Equal(b.From) && a.To.Equal(b.To)
	}), nil
}

// decode reads the calendars of a file; there may be several.
func decode(text io.Reader) (list []*ical.Calendar, err error) {
	defer func() {
		if p := recover(); p != nil { // of the library, on some lines that are none
			list, err = nil, errors.New("a line of it is not one of a calendar")
		}
	}()
	d := ical.NewDecoder(text)
	for {
		c, err := d.Decode()
		switch {
		case errors.Is(err, io.EOF) && len(list) > 0:
			return list, nil
		case err != nil:
			return nil, fmt.Errorf("it is no calendar: %s", httpclient.Plain(err.Error(), 2*maxName))
		}
		list = append(list, c)
	}
}

// reading is one call of Parse.
type reading struct {
	from, to time.Time
	until    time.Time // rules are expanded
	floating *time.Location
	defined  map[string]*ical.Component // VTIMEZONE, by TZID
	zones    map[string]*time.Location  // those that were used
	windows  []signalbox.Window
}

// series is what the events of one UID say together.
type series struct {
	whole []ical.Event // each with all its recurrences
	moved map[int64]bool
}

func (r *reading) calendar(c *ical.Calendar) error {
	r.floating = time.UTC
	if zone := c.Props.Get("X-WR-TIMEZONE"); zone != nil {
		var err error
		if r.floating, err = r.zone(zone.Value); err != nil {
			return fmt.Errorf("X-WR-TIMEZONE: %w", err)
		}
	}
	byUID := map[string]*series{}
	var order []*series // so that the first error is always the same
	for i, e := range c.Events() {
		uid := fmt.Sprintf("\x00%d", i)
		if p := e.Props.Get(ical.PropUID); p != nil {
			uid = p.Value
		}
		if byUID[uid] == nil {
			byUID[uid] = &series{moved: map[int64]bool{}}
			order = append(order, byUID[uid])
		}
		if err := r.gather(byUID[uid], e); err != nil {
			return fmt.Errorf("event %q: %w", name(e), err)
		}
	}
	for _, s := range order {
		for _, e := range s.whole {
			if err := r.expand(e, s.moved); err != nil {
				return fmt.Errorf("event %q: %w", name(e), err)
			}
		}
	}
	return nil
}

// gather takes an event into its series. One with a RECURRENCE-ID stands in the
// place of one recurrence, and is a time of its own.
func (r *reading) gather(s *series, e ical.Event) error {
	cancelled := false
	if p := e.Props.Get(ical.PropStatus); p != nil {
		cancelled = ical.EventStatus(upper(p.Value)) == ical.EventCancelled
	}
	id := e.Props.Get(ical.PropRecurrenceID)
	if id == nil {
		if !cancelled {
			s.whole = append(s.whole, e)
		}
		return nil
	}
	if of := id.Params.Get(ical.ParamRange); of != "" {
		return fmt.Errorf("RECURRENCE-ID: RANGE=%s is not supported", httpclient.Plain(of, maxName))
	}
	at, err := r.moments(id)
	if err != nil {
		return fmt.Errorf("RECURRENCE-ID: %w", err)
	}
	s.moved[at[0].Unix()] = true
	if cancelled {
		return nil
	}
	start, end, err := r.span(e)
	if err != nil {
		return err
	}
	return r.add(e, start, end(start))
}

// add notes a time that an event covers, if it is near.
func (r *reading) add(e ical.Event, from, to time.Time) error {
	if !to.After(from) || !to.After(r.from) || !from.Before(r.to) {
		return nil
	}
	if len(r.windows) >= maxWindows {
		return fmt.Errorf("there are more than %d times between %s and %s", maxWindows, r.from.UTC().Format(time.DateOnly), r.to.UTC().Format(time.DateOnly))
	}
	r.windows = append(r.windows, signalbox.Window{Name: name(e), From: from.UTC(), To: to.UTC()})
	return nil
}

// name is what people call an event, in one line.
func name(e ical.Event) string {
	p := e.Props.Get(ical.PropSummary)
	if p == nil {
		return "an event without a name"
	}
	text, err := p.Text()
	if err != nil {
		text = p.Value
	}
	return cmp.Or(httpclient.Plain(text, maxName), "an event without a name")
}
