package faults

import (
	"syscall"
	"time"

	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/step"
	"github.com/signalbox/signalbox/internal/store/etcd"
)

// Who is killed, of three replicas.
const (
	theLeader  = "the leader"
	aStandby   = "a standby"
	bothOfThem = "the leader and a standby"
)

// embedded is the store of replicas that are its members: with the leader a
// member dies, mostly the one that leads the others. Two of three are its quorum, so
// that no two are killed.
const embedded = "embedded members"

// killReplicas kills some of three replicas at random times while alerts come
// in, and lets them come back once another leads.
func killReplicas(r *run, v variant, n int) outcome {
	p := plan{latency: v.latency, lease: v.lease, replicas: 3}
	if v.store == embedded {
		p.replicas, p.members = 0, 3
	}
	c := newCell(r.t, r.binary, r.health, p)
	c.open()
	o := outcome{}
	for range n {
		leader := c.leader()
		if leader == nil {
			o.wrong("nobody leads, and all replicas run")
			break
		}
		if r.rng.IntN(4) > 0 {
			leader.sees()
		}
		c.fireAt(classA, classB, classC, classD, classK, classP)
		wait(time.Duration(r.rng.Int64N(int64(1500 * time.Millisecond))))
		standby := c.another(leader)
		if v.victim != aStandby {
			leader.kill()
		}
		if v.victim != theLeader {
			standby.end()
		}
		o.faults++
		c.fireAt(classB, classB, classP) // for whoever leads next
		if v.victim != aStandby && c.successor(leader) == nil {
			o.wrong("nobody led within %v of a kill of %s", patienceToLead, v.victim)
			break
		}
		wait(time.Duration(r.rng.Int64N(int64(time.Second))))
		c.open()
	}
	o.merge(c.judge(c.patience()))
	return o
}

// stopLeader stops the leader of two replicas at one step for as long as the
// variant says, and continues it: the other leads by then, unless it was short.
// Meanwhile another alert wants the same target.
func stopLeader(r *run, v variant, n int) outcome {
	c := newCell(r.t, r.binary, r.health, plan{latency: v.latency, replicas: 2})
	o := outcome{}
	for range n {
		c.struck = nil
		hit, release := false, func() {}
		if v.step == inItsWrite {
			hit, release = c.stopInWrite(v.class)
		} else {
			hit = c.strike(r, v, "stop", c.awaitStop)
		}
		if hit {
			o.faults++
			if c.struck != nil {
				c.sender.fire(c.struck.Target)
			}
			c.isAway(v.length)
			release()
			c.resume()
			c.settle(20 * time.Second)
		} else {
			o.missed++
		}
		c.close()
	}
	c.open()
	o.verdict = *c.judge(c.patience())
	return o
}

// inItsWrite is no step of the daemon: it is stopped from outside with a write
// on its way, which reaches its target when the daemon is continued. To all
// others that is a daemon that was stopped after its last check and sends when
// it is woken. One that is stopped at a step wakes with its lease run out, and
// mostly sends nothing any more.
const inItsWrite step.Name = "in its write"

// stopInWrite does so to the first replica, which leads.
func (c *cell) stopInWrite(class string) (hit bool, release func()) {
	c.start("")
	c.launchOthers(patient(15 * time.Second))
	c.awaitOthers()
	c.sees()
	target, ok := c.sender.free(class)
	if !ok {
		return false, nil
	}
	h := c.town.hold(target)
	c.struck = c.sender.fire(target)
	select {
	case <-h.sent:
	case <-time.After(patient(15 * time.Second)):
		close(h.release)
		return false, nil
	}
	_ = c.cmd.Process.Signal(syscall.SIGSTOP)
	return c.awaitStop(10 * time.Second), func() { close(h.release) }
}

// patienceToLead is when a cell gives up that one of its replicas leads.
const patienceToLead = time.Minute

// open starts all that do not run.
func (c *cell) open() {
	c.t.Helper()
	var begun []*daemon
	for _, d := range c.all {
		if d.cmd == nil {
			d.launch("")
			begun = append(begun, d)
		}
	}
	for _, d := range begun {
		d.awaitReady(false)
	}
}

// launchOthers starts the replicas beside the first once that leads, or is at
// its step, and does not wait for them.
func (c *cell) launchOthers(within time.Duration) {
	c.t.Helper()
	if len(c.all) == 1 {
		return
	}
	for deadline := time.Now().Add(within); time.Now().Before(deadline) && !c.leads() && !stopped(c.cmd.Process.Pid); {
		wait(20 * time.Millisecond)
	}
	for _, d := range c.all[1:] {
		if d.cmd == nil {
			d.launch("")
		}
	}
}

func (c *cell) awaitOthers() {
	c.t.Helper()
	for _, d := range c.all[1:] {
		d.awaitReady(false)
	}
}

// close ends all in good order.
func (c *cell) close() {
	for _, d := range c.all {
		d.stop()
	}
}

// leads reports whether a daemon says that it does.
func (d *daemon) leads() bool {
	st, err := d.status()
	return err == nil && st.Leading
}

// leader is the replica that leads; nil: none does within a while.
func (c *cell) leader() *daemon { return c.successor(nil) }

// successor is the replica that leads, another than one.
func (c *cell) successor(of *daemon) *daemon {
	deadline, tick := time.After(patienceToLead), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		for _, d := range c.all {
			if d != of && d.cmd != nil && !stopped(d.cmd.Process.Pid) && d.leads() {
				return d
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			return nil
		}
	}
}

// another is some replica that runs beside one.
func (c *cell) another(than *daemon) *daemon {
	for i, d := range c.all {
		if d == than {
			return c.all[(i+1)%len(c.all)]
		}
	}
	return nil
}

// statusOf asks for the status of the replica that leads, first the one that
// did when it was last asked.
func (c *cell) statusOf(last *int) (engine.Status, error) {
	var st engine.Status
	var err error
	for range c.all {
		st, err = c.all[*last].status()
		if err == nil && st.Leading {
			break
		}
		*last = (*last + 1) % len(c.all)
	}
	return st, err
}

// pairVariants are all steps with all classes that pass them, and a write on its
// way.
func pairVariants() (all []variant) {
	for _, class := range []string{classA, classB, classC, classD} {
		for _, length := range []float64{1.5, 4} {
			all = append(all, variant{step: inItsWrite, class: class, length: length})
		}
	}
	for _, v := range stepVariants() {
		for _, length := range []float64{0.5, 1.5, 4} {
			if v.length = length; v.latency <= latencies[1] {
				all = append(all, v)
			}
		}
	}
	return all
}

// replicaVariants: with the default lease. Leases of 2 and 5 s were measured when
// it was chosen, and their parts stay in the results.
func replicaVariants() (all []variant) {
	for _, l := range latencies[:2] {
		all = append(all, variant{victim: theLeader, lease: etcd.DefaultTTL, latency: l}, variant{victim: bothOfThem, lease: etcd.DefaultTTL, latency: l})
	}
	for _, l := range latencies[:2] {
		all = append(all, variant{victim: theLeader, store: embedded, lease: etcd.DefaultTTL, latency: l})
	}
	return append(all, variant{victim: aStandby, lease: etcd.DefaultTTL, latency: latencies[1]},
		variant{victim: aStandby, store: embedded, lease: etcd.DefaultTTL, latency: latencies[1]})
}
