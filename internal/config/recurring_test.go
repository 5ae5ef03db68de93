package config

import (
	"strings"
	"testing"
	"time"
)

// frozen loads a configuration with one freeze.
func frozen(t *testing.T, freeze string) (*Config, error) {
	t.Helper()
	small := read1(t, "testdata/good/small.yaml")
	return load(write(t, map[string]string{"signalbox.yaml": small + "guards: {freeze: [" + freeze + "]}\n"}))
}

// Times that recur are those of their zone: of a day that has an hour less, or
// more, and up to the end of the day. What they cover ends when they say.
func TestFreezeRecursInItsZone(t *testing.T) {
	const sunday = `{name: f, weekdays: [sunday], times: [{start_time: "01:00", end_time: "04:00"}], location: Europe/Berlin}`
	const weekend = `{name: f, weekdays: [friday], times: [{start_time: "16:00", end_time: "24:00"}], location: Europe/Berlin}, {name: g, weekdays: ["saturday"], location: Europe/Berlin}`
	const night = `{name: f, times: [{start_time: "22:00", end_time: "24:00"}, {start_time: "00:00", end_time: "06:00"}], location: America/New_York}`
	for _, c := range []struct {
		name, freeze string
		begins, ends string // UTC
	}{
		{"an hour less", sunday, "2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z"},
		{"an hour more", sunday, "2026-10-24T23:00:00Z", "2026-10-25T03:00:00Z"},
		{"the end of the day", weekend, "2026-11-27T15:00:00Z", "2026-11-27T23:00:00Z"},
		{"over midnight", night, "2026-07-02T02:00:00Z", "2026-07-02T10:00:00Z"},
		{"UTC where no zone is given", `{name: f, days_of_month: ["-1"], months: [february]}`, "2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"},
		{"days", `{name: f, weekdays: [saturday, sunday], location: Europe/Berlin}`, "2026-10-23T22:00:00Z", "2026-10-25T23:00:00Z"},
	} {
		cfg, err := frozen(t, c.freeze)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		f := cfg.Policy.Freeze[0]
		begins, ends := mustTime(t, c.begins), mustTime(t, c.ends)
		for at, want := range map[time.Time]bool{begins.Add(-time.Second): false, begins: true, ends.Add(-time.Second): true, ends: false} {
			if got := f.Covers(at); got != want {
				t.Errorf("%s: covers %s: %t, want %t", c.name, at, got, want)
			}
		}
		for _, at := range []time.Time{begins, begins.Add(30*time.Minute + time.Second), ends.Add(-time.Second), begins} {
			if got := f.Ends(at); !got.Equal(ends) {
				t.Errorf("%s: at %s it ends at %s, want %s", c.name, at, got, ends)
			}
		}
	}
}

// Times whose end is far are said to have none in sight, until it is.
func TestFreezeWithoutAnEndInSight(t *testing.T) {
	cfg, err := frozen(t, `{name: f, months: [december], location: Europe/Berlin}`)
	if err != nil {
		t.Fatal(err)
	}
	f, end := cfg.Policy.Freeze[0], mustTime(t, "2026-12-31T23:00:00Z")
	for at, want := range map[time.Duration]time.Time{-20 * 24 * time.Hour: {}, -9 * 24 * time.Hour: {}, -7 * 24 * time.Hour: end, -time.Minute: end} {
		if got := f.Ends(end.Add(at)); !got.Equal(want) {
			t.Errorf("%s before its end: got %s, want %s", -at, got, want)
		}
	}
}

func TestFreezeSaysItsTimes(t *testing.T) {
	for freeze, want := range map[string]string{
		`{name: f, weekdays: ["monday:wednesday", friday], times: [{start_time: "16:00", end_time: "24:00"}], location: Europe/Berlin}`: "monday:wednesday and friday, 16:00 to 24:00 in Europe/Berlin",
		`{name: f, days_of_month: ["1:5"], months: [december], years: ["2026"]}`:                                                        "days of the month 1:5, months december, years 2026 in UTC",
	} {
		cfg, err := frozen(t, freeze)
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.Policy.Freeze[0].Times; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A calendar that says neither is read as often, and relied on as long, as is
// documented.
func TestFreezeOfACalendarHasItsDefaults(t *testing.T) {
	cfg, err := frozen(t, `{name: f, calendar: {file: sale.ics}}`)
	if err != nil {
		t.Fatal(err)
	}
	if c := cfg.Calendars[0]; c.Refresh != 15*time.Minute || c.MaxAge != 24*time.Hour || cfg.Policy.Freeze[0].CalendarAge != 24*time.Hour {
		t.Errorf("got %+v, relied on for %s", c, cfg.Policy.Freeze[0].CalendarAge)
	}
}

func TestFreezeOfNoTimes(t *testing.T) {
	for freeze, want := range map[string]string{
		`{name: f, times: [{start_time: "22:00", end_time: "06:00"}]}`: "start time cannot be equal or greater than end time",
		`{name: f, weekdays: [someday]}`:                               "someday",
		`{name: f, weekdays: [sunday], location: Europe/Nowhere}`:      "Europe/Nowhere",
	} {
		if _, err := frozen(t, freeze); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "guards: freeze[0]") {
			t.Errorf("%s: got %v, want %q", freeze, err, want)
		}
	}
}

func mustTime(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
