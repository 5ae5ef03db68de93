package calendar

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emersion/go-ical"
	"github.com/teambition/rrule-go"

	"github.com/signalbox/signalbox/internal/httpclient"
)

// maxPerDay bounds how often a rule may match in a day.
const maxPerDay = 96

var errPatience = fmt.Errorf("the rules of the calendar take more than %s to expand", patience)

// expand notes all times of an event, but those that moved.
func (r *reading) expand(e ical.Event, moved map[int64]bool) error {
	start, end, err := r.span(e)
	if err != nil {
		return err
	}
	but := map[int64]bool{}
	for i := range e.Props[ical.PropExceptionDates] {
		list, err := r.moments(&e.Props[ical.PropExceptionDates][i])
		if err != nil {
			return fmt.Errorf("EXDATE: %w", err)
		}
		for _, at := range list {
			but[at.Unix()] = true
		}
	}
	take := func(at, to time.Time) error {
		if at.Equal(to) || but[at.Unix()] || moved[at.Unix()] {
			return nil
		}
		return r.add(e, at, to)
	}
	if err := take(start, end(start)); err != nil { // the first, whether the rule gives it or not
		return err
	}
	if err := r.dates(e, end, take); err != nil {
		return fmt.Errorf("RDATE: %w", err)
	}
	for _, p := range e.Props[ical.PropRecurrenceRule] {
		if err := r.rule(p.Value, start, end, take); err != nil {
			return fmt.Errorf("RRULE: %w", err)
		}
	}
	return nil
}

// rule gives the times of a rule, up to where the windows end.
func (r *reading) rule(text string, start time.Time, end func(time.Time) time.Time, take func(at, to time.Time) error) error {
	rule, err := ruleOf(text, start)
	if err != nil {
		return err
	}
	if !start.Before(r.to) {
		return nil
	}
	next := rule.Iterator()
	for {
		at, ok := next()
		switch {
		case time.Now().After(r.until): //nolint:forbidigo // bounds the work, decides nothing
			return errPatience
		case !ok || !at.Before(r.to):
			return nil
		case at.Equal(start):
			continue
		}
		if err := take(at, end(at)); err != nil {
			return err
		}
	}
}

// ruleOf reads a rule that begins at start. One of which a day has very many
// times is refused.
func ruleOf(text string, start time.Time) (*rrule.RRule, error) {
	text = upper(strings.TrimSpace(text))
	o, err := rrule.StrToROptionInLocation(text, start.Location())
	if err != nil {
		return nil, fmt.Errorf("%q: %s", httpclient.Plain(text, maxName), httpclient.Plain(err.Error(), maxName))
	}
	for part := range strings.SplitSeq(text, ";") {
		if until, is := strings.CutPrefix(part, "UNTIL="); is && len(until) == dateLength {
			o.Until = o.Until.AddDate(0, 0, 1).Add(-time.Second) // the day is in it
		}
	}
	perDay := max(len(o.Byhour), 1) * max(len(o.Byminute), 1) * max(len(o.Bysecond), 1)
	switch {
	case o.Freq > rrule.DAILY:
		return nil, fmt.Errorf("FREQ must be DAILY, WEEKLY, MONTHLY or YEARLY, got %s", o.Freq)
	case perDay > maxPerDay:
		return nil, fmt.Errorf("it must give at most %d times a day, got %d", maxPerDay, perDay)
	case o.Interval < 0 || o.Interval > 10_000:
		return nil, fmt.Errorf("INTERVAL must be 1 to 10000, got %d", o.Interval)
	case o.Count < 0:
		return nil, fmt.Errorf("COUNT must be at least 1, got %d", o.Count)
	case len(o.Byeaster) > 0 || !o.Dtstart.IsZero():
		return nil, errors.New("it has parts that RFC 5545 does not know")
	}
	o.Dtstart = start
	if o.Until.IsZero() {
		o.Until = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC) // else the library ends it after 290 years
	}
	rule, err := rrule.NewRRule(*o)
	if err != nil {
		return nil, errors.New(httpclient.Plain(err.Error(), maxName))
	}
	return rule, nil
}

// dates gives the times that an event lists, of which a PERIOD has its own end.
func (r *reading) dates(e ical.Event, end func(time.Time) time.Time, take func(at, to time.Time) error) error {
	for i := range e.Props[ical.PropRecurrenceDates] {
		p := e.Props[ical.PropRecurrenceDates][i]
		for value := range strings.SplitSeq(p.Value, ",") {
			begin, ends, period := strings.Cut(strings.TrimSpace(value), "/")
			list, err := r.moments(&ical.Prop{Params: p.Params, Value: begin})
			if err != nil {
				return err
			}
			to := end(list[0])
			if period {
				if to, err = r.periodEnd(list[0], ends, p.Params); err != nil {
					return err
				}
			}
			if err := take(list[0], to); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *reading) periodEnd(from time.Time, ends string, params ical.Params) (time.Time, error) {
	if strings.ContainsAny(ends, "Pp") {
		days, rest, err := duration(ends)
		return from.AddDate(0, 0, days).Add(rest), err
	}
	list, err := r.moments(&ical.Prop{Params: params, Value: ends})
	if err != nil {
		return time.Time{}, err
	}
	return list[0], nil
}
