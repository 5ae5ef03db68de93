package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
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
