package engine_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// An alert whose end comes while its action is in doubt comes to an end once
// the doubt is settled, also when the process was killed before or after: nobody
// says the end again.
func TestAlertThatEndsDuringADoubtIsClosed(t *testing.T) {
	for _, class := range []signalbox.Class{signalbox.ClassA, signalbox.ClassB, signalbox.ClassC} {
		for _, killed := range []string{"never", "before the end", "after the end", "before and after"} {
			t.Run(fmt.Sprintf("%s, killed %s", class, killed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					flip := flipPolicy()
					flip.On = []string{alerts}
					w := newWorld(t, flip)
					p := newPoints(w, class)
					w.start()
					w.after(20 * time.Second)
					p.with(func() { p.deaf, p.down = true, false })
					start := time.Now()
					w.receive(alert(start, signalbox.Breached))
					w.after(5 * time.Second)
					p.with(func() { p.down = true })
					if killed == "before the end" || killed == "before and after" {
						w.die()
						w.start()
					}
					w.after(5 * time.Second)
					w.receive(alert(start, signalbox.Clear))
					w.after(2 * time.Second)
					if killed == "after the end" || killed == "before and after" {
						w.die()
						w.start()
					}
					w.after(30 * time.Second)
					p.with(func() { p.deaf, p.down = false, false })
					w.after(30 * time.Minute)
					for id, inc := range w.state().Incidents {
						if !inc.Closed() {
							t.Errorf("incident %s is open: its reading is %s, %+v", id, inc.Reading.Condition, w.status().Incidents)
						}
					}
					w.audit(p)
				})
			})
		}
	}
}

// So does one whose end comes while the store is frozen, since it was restored
// from a copy that knows the action as under way.
func TestAlertThatEndsWhileTheStoreIsFrozenIsClosed(t *testing.T) {
	for _, class := range []signalbox.Class{signalbox.ClassA, signalbox.ClassB, signalbox.ClassC} {
		for _, again := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, started again: %t", class, again), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					flip := flipPolicy()
					flip.On = []string{alerts}
					w := newWorld(t, flip)
					w.marks = t.TempDir()
					p := newPoints(w, class)
					p.with(func() { p.deaf = true })
					w.start()
					w.after(20 * time.Second)
					start := time.Now()
					w.receive(alert(start, signalbox.Breached))
					w.after(2 * time.Second)
					older := w.copied(0)
					w.receive(alert(start.Add(-time.Hour), signalbox.Breached)) // something that the copy does not know
					p.with(func() { p.deaf = false })
					w.after(time.Minute)
					w.die()
					w.store = older
					w.start()
					w.after(20 * time.Second)
					if w.status().Store.Frozen == nil {
						t.Error("it is not frozen")
					}
					w.receive(alert(start, signalbox.Clear))
					w.after(5 * time.Second)
					if again {
						w.die()
						w.start()
						w.after(20 * time.Second)
					}
					w.confirm("compared with the target", "")
					w.after(time.Hour)
					defer w.halt()
					for id, inc := range w.state().Incidents {
						if !inc.Closed() {
							t.Errorf("incident %s is open: its reading is %s, stages %s; %+v", id, inc.Reading.Condition, w.stages(), w.status().Incidents)
						}
					}
				})
			})
		}
	}
}
