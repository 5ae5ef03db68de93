package sim

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
)

// Ninety days of incidents with faults, told as two stories of 45: every
// invariant holds at each step, and all of it drains. SIGNALBOX_INCIDENTS, SIGNALBOX_DAYS and SIGNALBOX_SEED say
// otherwise: without them it is a day, which the race detector can watch; `make
// sim` plays them whole.
func TestNinetyDays(t *testing.T) {
	o := options{Seed: 20261126, Incidents: 1_000, Days: 1, Log: os.Getenv("SIGNALBOX_SIM_LOG") != ""}
	for name, to := range map[string]*int{"SIGNALBOX_INCIDENTS": &o.Incidents, "SIGNALBOX_DAYS": &o.Days} {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				t.Fatalf("%s must be a number above 0, got %q", name, text)
			}
			*to = n
		}
	}
	if text := os.Getenv("SIGNALBOX_SEED"); text != "" {
		var err error
		if o.Seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	stories := 1
	if o.Days > 10 {
		stories = 2 // a core tells one: each of half the days, with half the incidents
	}
	again := fmt.Sprintf("again: make sim SEED=%d INCIDENTS=%d DAYS=%d", o.Seed, o.Incidents, o.Days) // both, since it is halved again
	o.Incidents, o.Days = o.Incidents/stories, o.Days/stories
	for i := range stories {
		one := o
		one.Seed += uint64(i)
		t.Run(fmt.Sprintf("seed %d", one.Seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newSim(t, one).play() })
			if t.Failed() {
				t.Log(again)
			}
		})
	}
}
