package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/sandbox"
)

// always is a calendar whose event comes each day, and lasts it.
const always = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\nSUMMARY:Winter sale\r\n" +
	"DTSTART;TZID=Europe/Berlin:20260101T000000\r\nDURATION:PT25H\r\nRRULE:FREQ=DAILY\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

// A freeze of a calendar behind a URL holds what would be done. When its server
// goes away the copy holds until max_age, and then nothing is done because it
// can't be read: the explanation, the log and the metrics say so, and the page
// goes out.
func TestFreezeOfACalendarThatGoesAway(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes as long as the sandbox company needs to break")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/calendar")
		fmt.Fprint(w, always)
	}))
	defer server.Close()
	company, err := sandbox.New(sandbox.Options{Calm: true})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- company.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := company.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	h := newHouse(t, "")
	h.dir = t.TempDir()
	if err := company.WriteConfig(h.dir); err != nil {
		t.Fatal(err)
	}
	h.write("freeze.yaml", fmt.Sprintf("guards: {freeze: [{name: sale, calendar: {url: %q, refresh: 1m, max_age: 15s}}]}\n", server.URL+"/private-0123"))
	h.open()
	h.eventually("good rounds", func() bool {
		return strings.Contains(h.send(h.request(http.MethodGet, h.control+"/metrics", "")).body, `signalbox_poll_rounds_total{result="good",source="metrics"} 3`)
	})
	if err := company.Break("replica-a"); err != nil {
		t.Fatal(err)
	}
	h.eventually("the freeze to hold it", func() bool { return h.explained("freeze sale (Winter sale) until ") })
	last := h.metric("signalbox_calendar_last_success_timestamp_seconds")
	server.Close()
	if got := h.reload(); got.status != http.StatusOK { // it is read again at once
		t.Fatalf("reload: %+v", got)
	}
	h.eventually("the log to say why", func() bool { return strings.Contains(h.log.String(), "msg=calendar freeze=sale") })
	h.eventually("the copy to be too old", func() bool {
		return h.explained("freeze sale: its calendar was read ") && h.explained("at most 15s is relied on")
	})
	if age := float64(time.Now().UnixMilli())/1e3 - last; last == 0 || age <= h.metric("signalbox_calendar_max_age_seconds") {
		t.Errorf("it was read %v s ago, want more than its max_age", age)
	}
	if strings.Contains(h.log.String(), "private-0123") {
		t.Error("the log holds the calendar's address")
	}
	if p := company.Position("read-endpoint"); !strings.HasPrefix(p, "pg-a") || len(company.Pages()) == 0 {
		t.Errorf("the switch stands at %s, and %d pages went out", p, len(company.Pages()))
	}
}

// explained reports whether why the failover is not done says text.
func (h *house) explained(text string) bool {
	h.t.Helper()
	for _, inc := range h.status().Incidents {
		if got := h.send(h.request(http.MethodGet, h.control+"/api/v1/whynot?policy=replica-failover&incident="+string(inc.ID), "")); strings.Contains(got.body, text) {
			return true
		}
	}
	return false
}
