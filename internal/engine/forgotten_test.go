package engine

import (
	"testing"

	signalbox "github.com/signalbox/signalbox"
)

// Only what can be read back and is older than the store's step back in time is
// left to a person: a fence tells of class A, a key of class B, and nothing of D.
func TestForgotten(t *testing.T) {
	for _, c := range []struct {
		class          signalbox.Class
		claimed, epoch int64
		frozen, left   bool
	}{
		{signalbox.ClassC, 0, 1, false, true},
		{signalbox.ClassC, 1, 3, false, true},
		{signalbox.ClassC, 1, 1, false, false},
		{signalbox.ClassC, 0, 0, false, false},
		{signalbox.ClassC, 1, 1, true, true},
		{signalbox.ClassA, 1, 1, true, false},
		{signalbox.ClassA, 0, 1, false, false},
		{signalbox.ClassB, 0, 1, false, false},
		{signalbox.ClassD, 0, 1, false, false},
	} {
		a := &signalbox.Action{ID: "a", Epoch: c.claimed, Forecast: signalbox.Forecast{Class: c.class}}
		if why := forgotten(a, signalbox.TokenIn(c.epoch, 77), c.frozen); (why != "") != c.left {
			t.Errorf("%+v: %q", c, why)
		}
	}
}
