package sim

import (
	"fmt"
	"os"
	"slices"
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
	for _, one := range o.stories() {
		t.Run(fmt.Sprintf("seed %d", one.Seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newSim(t, one).play() })
			if t.Failed() {
				t.Log("again: " + o.again())
			}
		})
	}
}

// stories are as which it is told. A core tells one: each of half the days, with
// half the incidents.
func (o options) stories() []options {
	if o.Days <= 10 {
		return []options{o}
	}
	first := o
	first.Incidents, first.Days = o.Incidents/2, o.Days/2
	second := first
	second.Seed++
	return []options{first, second}
}

// again is the command that tells the same stories: of the whole values, since it
// halves them again.
func (o options) again() string {
	return fmt.Sprintf("make sim SEED=%d INCIDENTS=%d DAYS=%d", o.Seed, o.Incidents, o.Days)
}

// What a failure prints tells the story that failed, and none that is shorter.
func TestAgain(t *testing.T) {
	for _, o := range []options{{Seed: 7, Incidents: 1000, Days: 1}, {Seed: 7, Incidents: 10_000, Days: 10}, {Seed: 8, Incidents: 99_999, Days: 91}, {Seed: 1, Incidents: 1_000_000, Days: 900}} {
		var given options
		if _, err := fmt.Sscanf(o.again(), "make sim SEED=%d INCIDENTS=%d DAYS=%d", &given.Seed, &given.Incidents, &given.Days); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(given.stories(), o.stories()) {
			t.Errorf("%s tells %+v, and not %+v", o.again(), given.stories(), o.stories())
		}
	}
}
