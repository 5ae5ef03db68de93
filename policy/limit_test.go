package policy

import (
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// A limit is paged once, whatever helped, with until when it stands.
func TestLimitIsAlwaysPaged(t *testing.T) {
	b := newBox(t)
	a := b.acted(signalbox.Recovered)
	a.Forecast.Expires = signalbox.Duration(2 * time.Hour)
	b.healed()
	d := b.want(signalbox.Escalate, "limit")
	if d.Told != "limit/"+string(a.ID) || d.Page.Owner != "backend" || !strings.Contains(d.Page.Why, "read-endpoint to b, was a, until 2026-03-01 14:00:00Z") {
		t.Fatalf("got %q:\n%s", d.Told, tell(d))
	}
	b.inc().Told, b.inc().Page = append(b.inc().Told, d.Told), "page-1"
	if d := b.decide(); d.Verdict == signalbox.Escalate {
		t.Errorf("paged twice:\n%s", tell(d))
	}
	a.Forecast.Expires, b.inc().Told = 0, nil
	if d := b.decide(); d.Verdict == signalbox.Escalate {
		t.Errorf("what is no limit was paged:\n%s", tell(d))
	}
}
