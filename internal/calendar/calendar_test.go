package calendar

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

var (
	march = time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)
	june  = time.Date(2026, time.June, 1, 0, 0, 0, 0, time.UTC)
)

func shown(windows []signalbox.Window) []string {
	list := make([]string, 0, len(windows))
	for _, w := range windows {
		list = append(list, w.From.Format("2006-01-02T15:04:05")+" "+w.To.Format("2006-01-02T15:04:05")+" "+w.Name)
	}
	return list
}

func TestParseFiles(t *testing.T) {
	for file, want := range map[string][]string{
		"releases.ics": {
			"2026-04-02T22:00:00 2026-04-06T22:00:00 Easter",                 // whole days of Berlin
			"2026-04-23T10:00:00 2026-04-23T16:00:00 Month end, a day early", // moved; March is left out, and May cancelled
		},
		"outlook.ics": { // across the change of the clocks, until the rule ends
			"2026-03-25T21:00:00 2026-03-26T01:00:00 Payroll",
			"2026-04-01T20:00:00 2026-04-02T00:00:00 Payroll",
			"2026-04-08T20:00:00 2026-04-09T00:00:00 Payroll",
		},
	} {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"as it is": string(text), "with CRLF": strings.ReplaceAll(string(text), "\n", "\r\n")} {
			got, err := Parse([]byte(text), march, june)
			if err != nil || !slices.Equal(shown(got), want) {
				t.Errorf("%s, %s: got %v, %q, want %q", file, name, err, shown(got), want)
			}
		}
	}
}

// event is a calendar of one event in lines.
func event(lines ...string) string {
	return "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nSUMMARY:Sale\n" + strings.Join(lines, "\n") + "\nEND:VEVENT\nEND:VCALENDAR\n"
}

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"no events":           {"BEGIN:VCALENDAR\nEND:VCALENDAR", nil},
		"a moment":            {event("DTSTART:20260401T100000Z"), nil},
		"a whole day":         {event("DTSTART;VALUE=DATE:20260401"), []string{"2026-04-01T00:00:00 2026-04-02T00:00:00 Sale"}},
		"its own last day":    {event("DTSTART;VALUE=DATE:20260401", "DTEND;VALUE=DATE:20260401"), []string{"2026-04-01T00:00:00 2026-04-02T00:00:00 Sale"}},
		"days without a type": {event("DTSTART:20260401", "DTEND:20260403"), []string{"2026-04-01T00:00:00 2026-04-03T00:00:00 Sale"}},
		"floating":            {event("DTSTART:20260401T100000", "DURATION:PT1H30M"), []string{"2026-04-01T10:00:00 2026-04-01T11:30:00 Sale"}},
		"a long duration":     {event("DTSTART:20260401T100000Z", "DURATION:P1W"), []string{"2026-04-01T10:00:00 2026-04-08T10:00:00 Sale"}},
		"tentative":           {event("DTSTART:20260401T100000Z", "DURATION:PT1H", "STATUS:TENTATIVE"), []string{"2026-04-01T10:00:00 2026-04-01T11:00:00 Sale"}},
		"cancelled":           {event("DTSTART:20260401T100000Z", "DURATION:PT1H", "STATUS:cancelled"), nil},
		"over":                {event("DTSTART:20260228T230000Z", "DURATION:PT1H"), nil},
		"still under way":     {event("DTSTART:20260228T230000Z", "DURATION:PT1H1S"), []string{"2026-02-28T23:00:00 2026-03-01T00:00:01 Sale"}},
		"later":               {event("DTSTART:20260601T000000Z", "DURATION:PT1H"), nil},
		"an old rule": {
			event("DTSTART:19700105T100000Z", "DURATION:PT1H", "RRULE:FREQ=YEARLY;BYMONTH=5;BYDAY=1MO"),
			[]string{"2026-05-04T10:00:00 2026-05-04T11:00:00 Sale"},
		},
		"a rule older than 290 years": {
			event("DTSTART:16010504T100000Z", "DURATION:PT1H", "RRULE:FREQ=YEARLY"),
			[]string{"2026-05-04T10:00:00 2026-05-04T11:00:00 Sale"},
		},
		"counted": {
			event("DTSTART:20260401T100000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3", "EXDATE:20260401T100000Z,20260402T100000Z"),
			[]string{"2026-04-03T10:00:00 2026-04-03T11:00:00 Sale"},
		},
		"until a day, which is in it": {
			event("DTSTART:20260401T100000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;UNTIL=20260402"),
			[]string{"2026-04-01T10:00:00 2026-04-01T11:00:00 Sale", "2026-04-02T10:00:00 2026-04-02T11:00:00 Sale"},
		},
		"the first, though the rule does not give it": {
			event("DTSTART:20260401T100000Z", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;BYDAY=MO;UNTIL=20260406T120000Z"),
			[]string{"2026-04-01T10:00:00 2026-04-01T11:00:00 Sale", "2026-04-06T10:00:00 2026-04-06T11:00:00 Sale"},
		},
		"listed": {
			event("DTSTART:20260401T100000Z", "DURATION:PT1H", "RDATE:20260501T100000Z", "RDATE;VALUE=PERIOD:20260502T100000Z/20260502T120000Z,20260503T100000Z/PT3H"),
			[]string{"2026-04-01T10:00:00 2026-04-01T11:00:00 Sale", "2026-05-01T10:00:00 2026-05-01T11:00:00 Sale", "2026-05-02T10:00:00 2026-05-02T12:00:00 Sale", "2026-05-03T10:00:00 2026-05-03T13:00:00 Sale"},
		},
		"days across the change of the clocks": {
			strings.Replace(event("DTSTART;VALUE=DATE:20260328", "RRULE:FREQ=DAILY;COUNT=2"), "BEGIN:VEVENT", "X-WR-TIMEZONE:Europe/Berlin\nBEGIN:VEVENT", 1),
			[]string{"2026-03-27T23:00:00 2026-03-28T23:00:00 Sale", "2026-03-28T23:00:00 2026-03-29T22:00:00 Sale"},
		},
		"twice the same, and two calendars": {
			event("DTSTART:20260401T100000Z", "DURATION:PT1H") + event("DTSTART:20260401T100000Z", "DURATION:PT1H"),
			[]string{"2026-04-01T10:00:00 2026-04-01T11:00:00 Sale"},
		},
		"a folded line": {
			"\ufeffBEGIN:VCALENDAR\nBEG\n IN:VEVENT\nSUMM\n ARY:A\n\t\n  b\nDTSTART:20260401T1\n 00000Z\nDURATION:PT1H\nEND:VEVENT\nEND:VCALENDAR",
			[]string{"2026-04-01T10:00:00 2026-04-01T11:00:00 A b"},
		},
	} {
		got, err := Parse([]byte(c.text), march, june)
		if err != nil || !slices.Equal(shown(got), c.want) {
			t.Errorf("%s: got %v, %q, want %q", name, err, shown(got), c.want)
		}
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	zone := func(lines string) string {
		return "BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:Ours\n" + lines + "END:VTIMEZONE\nBEGIN:VEVENT\nSUMMARY:Sale\nDTSTART;TZID=Ours:20260401T100000\nEND:VEVENT\nEND:VCALENDAR"
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":             {"\n\n", "it is empty"},
		"a page":            {"<!DOCTYPE html>\n<html>", "it does not begin with BEGIN:VCALENDAR"},
		"cut off":           {"BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260401T100000Z\n", "it is cut off: a BEGIN has no END"},
		"crossed":           {"BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR\nEND:VEVENT", "it is no calendar: ical: malformed component"},
		"a line of words":   {"BEGIN:VCALENDAR\nwords\nEND:VCALENDAR", "a line has no name and value"},
		"a bare parameter":  {event("DTSTART;TZID="), "a line of it is not one of a calendar"},
		"deep":              {"BEGIN:VCALENDAR\n" + strings.Repeat("BEGIN:X\n", 1_000_000), "nested deeper than 8"},
		"many events":       {"BEGIN:VCALENDAR\n" + strings.Repeat("BEGIN:VEVENT\nEND:VEVENT\n", 10_001), "at most 10000 events"},
		"long parameters":   {event("DTSTART;TZID=" + strings.Repeat("x", 2000) + ":20260401T100000"), "DTSTART: a line must have at most 262144 bytes, and 1024 before its value"},
		"large":             {strings.Repeat("x", MaxBytes+1), "at most 10 MiB"},
		"no start":          {event("DTEND:20260401T100000Z"), `event "Sale": DTSTART is missing`},
		"no date":           {event("DTSTART:tomorrow"), `event "Sale": DTSTART: "tomorrow" is no date or time`},
		"no such date":      {event("DTSTART:20260230T100000Z"), `event "Sale": DTSTART: "20260230T100000Z" is no date or time`},
		"two starts":        {event("DTSTART:20260401,20260402"), `event "Sale": DTSTART: must be one time`},
		"ends before":       {event("DTSTART:20260401T100000Z", "DTEND:20260401T095959Z"), "DTEND (2026-04-01T09:59:59Z) must not be before DTSTART (2026-04-01T10:00:00Z)"},
		"no duration":       {event("DTSTART:20260401T100000Z", "DURATION:1 hour"), `DURATION: "1 hour" is none`},
		"backwards":         {event("DTSTART:20260401T100000Z", "DURATION:-PT1H"), `DURATION: "-PT1H" is none`},
		"an unknown zone":   {event("DTSTART;TZID=Mars/Base:20260401T100000"), `DTSTART: time zone "Mars/Base" is not known, and no VTIMEZONE defines it`},
		"this machine's":    {event("DTSTART;TZID=Local:20260401T100000"), `time zone "Local" is not known`},
		"no rule":           {event("DTSTART:20260401T100000Z", "RRULE:WHENEVER"), `RRULE: "WHENEVER": wrong format`},
		"an odd rule":       {event("DTSTART:20260401T100000Z", "RRULE:FREQ=DAILY;BYMOON=1"), "unknown RRULE property: BYMOON"},
		"each hour":         {event("DTSTART:20260401T100000Z", "RRULE:FREQ=HOURLY"), "RRULE: FREQ must be DAILY, WEEKLY, MONTHLY or YEARLY, got HOURLY"},
		"often":             {event("DTSTART:20260401T100000Z", "RRULE:FREQ=DAILY;BYMINUTE="+strings.Repeat("0,", 96)+"1"), "at most 96 times a day, got 97"},
		"no exception":      {event("DTSTART:20260401T100000Z", "EXDATE:never"), `EXDATE: "never" is no date`},
		"no further date":   {event("DTSTART:20260401T100000Z", "RDATE:20260401T100000Z/x"), `RDATE: "x" is no date`},
		"this and the rest": {event("DTSTART:20260401T100000Z", "RECURRENCE-ID;RANGE=THISANDFUTURE:20260401T100000Z"), "RECURRENCE-ID: RANGE=THISANDFUTURE is not supported"},
		"an empty zone":     {zone(""), "has neither STANDARD nor DAYLIGHT"},
		"no offset":         {zone("BEGIN:STANDARD\nDTSTART:20200101T000000\nTZOFFSETFROM:+0100\nTZOFFSETTO:1h\nEND:STANDARD\n"), `time zone "Ours": STANDARD: TZOFFSETTO: "1h" is no offset`},
		"a restless zone": {
			zone("BEGIN:STANDARD\nDTSTART:20000101T000000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nRRULE:FREQ=DAILY\nEND:STANDARD\n"),
			"it must change at most 4096 times",
		},
	} {
		got, err := Parse([]byte(c.text), march, june)
		if err == nil || !strings.Contains(err.Error(), c.want) || got != nil {
			t.Errorf("%s: got %q and %v, want an error with %q", name, shown(got), err, c.want)
		}
	}
}

// Rules end where the times that are wanted end, and what is left is bounded.
func TestParseBounds(t *testing.T) {
	var many strings.Builder
	many.WriteString("BEGIN:VCALENDAR\n")
	for i := range 200 {
		fmt.Fprintf(&many, "BEGIN:VEVENT\nUID:%d\nSUMMARY:%d\nDTSTART:20260301T000000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY\nEND:VEVENT\n", i, i)
	}
	many.WriteString("END:VCALENDAR\n")
	if _, err := Parse([]byte(many.String()), march, june); err == nil || !strings.Contains(err.Error(), "more than 10000 times between 2026-03-01 and 2026-06-01") {
		t.Errorf("got %v", err)
	}
	got, err := Parse([]byte(many.String()), march, march.Add(48*time.Hour))
	if err != nil || len(got) != 400 {
		t.Errorf("got %d windows, %v", len(got), err)
	}
	got, err = Parse([]byte(event("DTSTART:20260301T000000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30")), march, june)
	if err != nil || len(got) != 1 {
		t.Errorf("a rule that matches no day: got %d windows, %v", len(got), err)
	}
}
