package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
)

// Which copy of the store is restored.
const (
	olderCopy = "an older copy"
	newerCopy = "a copy newer than the marks"
)

// windowOfRestore is that of all budgets: after a restore it counts as spent.
const windowOfRestore = 5 * time.Second

// restores takes copies of a store under load, goes on, and restores them.
func restores(r *run, v variant, n int) outcome {
	c := newCell(r.t, r.binary, r.health, plan{latency: v.latency, window: windowOfRestore})
	var err error
	if c.ctl, err = r.tool(); err != nil {
		r.t.Fatal(err)
	}
	c.start("")
	o := outcome{}
	for range n {
		c.sees()
		c.fireAt(classA, classB, classC, classD, classK, classP)
		if v.victim == newerCopy {
			c.restoreNewer(&o)
		} else {
			c.restoreOlder(r, &o)
		}
		o.faults++
	}
	o.merge(c.judge(c.patience()))
	return o
}

// restoreOlder restores a copy that knows of some work as under way and of some
// not at all. Nothing may reach a target until a person has confirmed it, and
// what had its effect before has no second one after it.
func (c *cell) restoreOlder(r *run, o *outcome) {
	wait(time.Duration(r.rng.Int64N(int64(1500 * time.Millisecond))))
	backup := filepath.Join(c.t.TempDir(), "copy")
	c.operate("store", "backup", backup)
	known := c.fireAt(classB)
	c.fireAt(classA, classB, classC, classD, classK, classP)
	if known == nil || !c.reached(known, patient(10*time.Second)) { // the marks know of it then, and the copy does not
		o.wrong("nothing was done at a target of class B after the copy was made")
		return
	}
	wait(time.Duration(r.rng.Int64N(int64(3 * time.Second))))
	c.end()
	c.putBack(backup, o)
	began := time.Now()
	c.start("")
	c.sees()
	c.fireAt(classA, classB, classC, classD, classP)
	if err := c.sender.awaitTaken(patient(time.Minute)); err != nil {
		o.wrong("after the store was restored: %v", err)
	}
	wait(time.Duration(r.rng.Int64N(int64(3 * time.Second))))
	if r.rng.IntN(2) == 0 { // what is frozen stays so
		c.end()
		c.start("")
		c.sees()
	}
	if st, err := c.statusAtLast(); err != nil || st.Store.Frozen == nil {
		o.wrong("a store that is older than its marks is relied on, before a person confirmed it: %v", err)
	}
	c.sender.endAll() // the person compares the store with the world, and sees to what is ill
	c.settle(5 * time.Second)
	for _, in := range c.town.arrivals() {
		if in.At.After(began) {
			o.wrong("a write reached %s before a person confirmed the store", in.Target)
		}
	}
	if out, err := c.tool("store", "confirm", "--reason", "compared with the targets"); err != nil {
		o.wrong("the store can't be confirmed: %s", out)
	}
	c.goesOn(o, patient(windowOfRestore+20*time.Second))
}

// statusAtLast asks for the status until it is told: a busy daemon may be late
// with it.
func (c *cell) statusAtLast() (st engine.Status, err error) {
	for deadline := time.Now().Add(10 * time.Second); ; wait(100 * time.Millisecond) {
		if st, err = c.status(); err == nil || time.Now().After(deadline) {
			return st, err
		}
	}
}

// reached waits until a request reached the target of an alert after that began.
func (c *cell) reached(a *alert, within time.Duration) bool {
	deadline, tick := time.After(within), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		if slices.ContainsFunc(c.town.arrivals(), func(in arrival) bool { return in.Target == a.Target && in.At.After(a.Starts) }) {
			return true
		}
		select {
		case <-tick.C:
		case <-deadline:
			return false
		}
	}
}

// restoreNewer restores a copy of all there was, beside marks that are older.
func (c *cell) restoreNewer(o *outcome) {
	path := filepath.Join(c.data, "marks.json")
	marks, err := os.ReadFile(path)
	if err != nil {
		c.t.Fatal(err)
	}
	c.settle(30 * time.Second)
	backup := filepath.Join(c.t.TempDir(), "copy")
	c.operate("store", "backup", backup)
	c.end()
	c.putBack(backup, o)
	if err := os.WriteFile(path, marks, 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.start("")
	c.sees()
	if st, err := c.statusAtLast(); err != nil || st.Store.Frozen != nil {
		o.wrong("a store that is newer than its marks is frozen: %+v %v", st.Store.Frozen, err)
	}
	c.goesOn(o, patient(20*time.Second))
}

// putBack restores a copy under a daemon that was killed, and keeps what the
// store knew as forgotten.
func (c *cell) putBack(backup string, o *outcome) {
	c.t.Helper()
	b, err := c.read()
	if err != nil {
		o.wrong("the journal before the restore: %v", err)
	} else {
		c.forgotten = append(c.forgotten, b)
	}
	c.operate("store", "restore", "--data", c.data, backup)
	c.sender.storeWentBack()
}

// goesOn wants new alerts to be acted on, at targets of which the store has
// forgotten nothing: one that an action left elsewhere than the store says is
// held as in another's hand until a person releases it.
func (c *cell) goesOn(o *outcome, within time.Duration) {
	wanted := map[string]time.Time{}
	for _, class := range []string{classA, classB} {
		if target, ok := c.sender.unused(class); ok {
			wanted[target] = c.sender.fire(target).Starts
		}
	}
	c.settle(within)
	for _, in := range c.town.arrivals() {
		if from, ok := wanted[in.Target]; ok && in.Effect && in.At.After(from) {
			delete(wanted, in.Target)
		}
	}
	for target := range wanted {
		o.wrong("nothing was done at %s after the store was restored and could be relied on", target)
	}
}

// tool runs signalboxctl.
func (c *cell) tool(args ...string) (string, error) {
	out, err := exec.Command(c.ctl, append([]string{"--server", c.control}, args...)...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// operate does so where it must succeed.
func (c *cell) operate(args ...string) {
	c.t.Helper()
	if out, err := c.tool(args...); err != nil {
		c.t.Fatal(fmt.Errorf("signalboxctl %s: %w\n%s", strings.Join(args, " "), err, out))
	}
}

// remember adds what a store knew before it went back in time, where it does not
// know it any more: as over, since it follows it no longer.
func (b *books) remember(old *books) {
	for episode, inc := range old.incidents {
		if now := b.incidents[episode]; now != nil && now.EndReason != overUnseen {
			continue
		}
		if !inc.Closed() {
			inc.End, inc.EndReason = signalbox.Escalated, "the store forgot it"
		}
		b.incidents[episode] = inc
	}
	for _, a := range old.order {
		if b.actions[a.ID] != nil {
			continue
		}
		if a.InFlight() {
			a.Stage = "forgotten"
		}
		b.actions[a.ID] = a
		b.order = append(b.order, a)
	}
	for id := range old.doubts {
		b.doubts[id] = true
	}
	for id, at := range old.paged {
		if now, known := b.paged[id]; !known || at.Before(now) {
			b.paged[id] = at
		}
	}
}

func restoreVariants() []variant {
	return []variant{
		{victim: olderCopy}, {victim: olderCopy, latency: latencies[1]}, {victim: olderCopy, latency: latencies[2]}, {victim: newerCopy},
	}
}
