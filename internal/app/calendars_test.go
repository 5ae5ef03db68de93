package app

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/config"
)

// A calendar is asked for again by its tag, and what was read stands, as old as
// it was, once its server is gone. Its address is in no error.
func TestCalendarOfAServerThatGoesAway(t *testing.T) {
	var asked, unchanged int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			unchanged++
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Sale\nDTSTART:20260301T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY\nEND:VEVENT\nEND:VCALENDAR\n")
	}))
	defer server.Close()
	read, err := readURL(&config.Calendar{Name: "sale", URL: server.URL + "/private-0123"}, "signalbox/test")
	if err != nil {
		t.Fatal(err)
	}
	r := &calendarReader{name: "sale", read: read}
	first := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	second := first.Add(24 * time.Hour)
	for _, at := range []time.Time{first, second} {
		c, err := r.again(t.Context(), at)
		if err != nil || !c.At.Equal(at) || c.Err != "" || len(c.Windows) < 90 {
			t.Fatalf("got %v, read %s, %d windows", err, c.At, len(c.Windows))
		}
	}
	if asked != 2 || unchanged != 1 {
		t.Errorf("asked %d times, unchanged %d times", asked, unchanged)
	}
	server.Close()
	c, err := r.again(t.Context(), second.Add(time.Hour))
	if err == nil || !c.At.Equal(second) || c.Err != err.Error() || len(c.Windows) < 90 || strings.Contains(c.Err, "private-0123") {
		t.Errorf("got %v, read %s, %q, %d windows", err, c.At, c.Err, len(c.Windows))
	}
}

// small is a configuration that watches something.
const small = `
default_owner: devops
owners:
  devops: {primary: "@sre-lead", escalation: pagerduty, pagerduty: {primary_key_file: key}}
sources:
  metrics: {kind: prometheus, url: "http://127.0.0.1:9090"}
detectors:
  - {name: errors, source: metrics, query: errors, breach: {above: 5}, subject: errors}
`

// A calendar in a file is looked for beside the configuration that names it, and
// its events are at the times of their zone.
func TestCalendarOfAFile(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"signalbox.yaml": "guards: {freeze: [{name: sale, calendar: {file: ops/sale.ics}}]}\n" + small,
		"key":            "0123456789abcdef0123456789abcde0",
		"ops/sale.ics":   "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Sale\nDTSTART;TZID=Europe/Berlin:20261023T100000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=4\nEND:VEVENT\nEND:VCALENDAR\n",
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(dir, Kinds(), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &calendarReader{name: "sale", read: readFile(cfg.Calendars[0].File)}
	now := time.Date(2026, 10, 23, 0, 0, 0, 0, time.UTC)
	c, err := r.again(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range c.Windows {
		got = append(got, w.Name+" "+w.From.UTC().Format(time.RFC3339))
	}
	if want := []string{"Sale 2026-10-23T08:00:00Z", "Sale 2026-10-24T08:00:00Z", "Sale 2026-10-25T09:00:00Z", "Sale 2026-10-26T09:00:00Z"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := os.Remove(cfg.Calendars[0].File); err != nil {
		t.Fatal(err)
	}
	if c, err := r.again(t.Context(), now.Add(time.Hour)); err == nil || !c.At.Equal(now) || len(c.Windows) != 4 || !strings.Contains(c.Err, "sale.ics") {
		t.Errorf("once it is gone: got %v, read %s, %d windows, %q", err, c.At, len(c.Windows), c.Err)
	}
}
