package calendar

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-ical"

	"github.com/signalbox/signalbox/internal/httpclient"
)

const dateLength = len("20060102")

// moments are the times of a property, of which some may hold several.
func (r *reading) moments(p *ical.Prop) ([]time.Time, error) {
	loc := r.floating
	if id := p.Params.Get(ical.ParamTimezoneID); id != "" {
		var err error
		if loc, err = r.zone(id); err != nil {
			return nil, err
		}
	}
	var list []time.Time
	for value := range strings.SplitSeq(p.Value, ",") {
		at, err := moment(strings.TrimSpace(value), loc)
		if err != nil {
			return nil, err
		}
		list = append(list, at)
	}
	return list, nil
}

func moment(value string, loc *time.Location) (time.Time, error) {
	at, err := (&ical.Prop{Value: value}).DateTime(loc)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no date or time", httpclient.Plain(value, 40))
	}
	return at, nil
}

// one is the only time of a property.
func (r *reading) one(e ical.Event, name string) (at time.Time, day bool, err error) {
	p := e.Props.Get(name)
	list, err := r.moments(p)
	switch {
	case err != nil:
		return at, false, fmt.Errorf("%s: %w", name, err)
	case len(list) != 1:
		return at, false, fmt.Errorf("%s: must be one time", name)
	}
	return list[0], len(strings.TrimSpace(p.Value)) == dateLength, nil
}

// span is when an event begins, and when it ends if it begins at a moment:
// whole days and a DURATION keep to the clock on the wall, times with a DTEND
// last the same always.
func (r *reading) span(e ical.Event) (start time.Time, end func(time.Time) time.Time, err error) {
	if e.Props.Get(ical.PropDateTimeStart) == nil {
		return start, nil, errors.New("DTSTART is missing")
	}
	start, day, err := r.one(e, ical.PropDateTimeStart)
	if err != nil {
		return start, nil, err
	}
	days, length := 0, time.Duration(0)
	switch d := e.Props.Get(ical.PropDuration); {
	case e.Props.Get(ical.PropDateTimeEnd) != nil:
		ends, alsoDay, err := r.one(e, ical.PropDateTimeEnd)
		switch {
		case err != nil:
			return start, nil, err
		case ends.Before(start):
			return start, nil, fmt.Errorf("DTEND (%s) must not be before DTSTART (%s)", ends.Format(time.RFC3339), start.Format(time.RFC3339))
		case day && alsoDay:
			days = int((ends.Sub(start) + 12*time.Hour) / (24 * time.Hour)) // a day has 23 to 25 hours
		default:
			length = ends.Sub(start)
		}
		if day && ends.Equal(start) {
			days = 1 // some write the last day instead of the one after it
		}
	case d != nil:
		if days, length, err = duration(d.Value); err != nil {
			return start, nil, fmt.Errorf("DURATION: %w", err)
		}
	case day:
		days = 1
	}
	return start, func(at time.Time) time.Time { return at.AddDate(0, 0, days).Add(length) }, nil
}

var durationForm = regexp.MustCompile(`^\+?P(?:([0-9]{1,4})W|(?:([0-9]{1,5})D)?(?:T(?:([0-9]{1,6})H)?(?:([0-9]{1,7})M)?(?:([0-9]{1,9})S)?)?)$`)

// duration reads what an event lasts: days, which are as long as they are, and
// a time.
func duration(value string) (days int, rest time.Duration, err error) {
	m := durationForm.FindStringSubmatch(upper(strings.TrimSpace(value)))
	if m == nil {
		return 0, 0, fmt.Errorf("%q is none", httpclient.Plain(value, 40))
	}
	n := make([]int, len(m))
	for i, text := range m[1:] {
		n[i+1], _ = strconv.Atoi(text) // digits, or nothing
	}
	return 7*n[1] + n[2], time.Duration(n[3])*time.Hour + time.Duration(n[4])*time.Minute + time.Duration(n[5])*time.Second, nil
}
