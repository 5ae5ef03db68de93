package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/signalbox/signalbox/test/standin/pagerduty"
)

// How three members are cut off from each other.
const (
	isolated    = "the leader isolated"
	standbyOff  = "a standby isolated"
	splitAll    = "all three split"
	oneWay      = "the leader hears and is not heard"
	flapping    = "the leader's link flaps"
	quorumIsOff = "no quorum"
)

// partitions cuts members off while alerts come in, and lets them together again.
func partitions(r *run, v variant, n int) outcome {
	c := newCell(r.t, r.binary, r.health, plan{latency: v.latency, members: 3, spaces: true})
	c.open()
	o := outcome{}
	for range n {
		leader := c.leader()
		if leader == nil {
			o.wrong("nobody leads, and all members are together")
			break
		}
		leader.sees()
		c.fireAt(classA, classB, classC, classD, classK, classP)
		wait(time.Duration(r.rng.Int64N(int64(time.Second))))
		heal := c.cutOff(r.rng, v.victim, c.place(leader))
		began := time.Now()
		c.deaths = append(c.deaths, began)
		o.faults++
		c.fireAt(classB, classP)
		if v.victim == quorumIsOff {
			c.withoutQuorum(began, time.Duration(v.length*float64(c.plan.lease)), &o)
		} else {
			wait(c.plan.lease + time.Duration(r.rng.Int64N(int64(2*c.plan.lease))))
		}
		heal()
		if c.leader() == nil {
			o.wrong("nobody led within %v of the members' being together again", patienceToLead)
			break
		}
		c.settle(10 * time.Second)
	}
	o.merge(c.judge(c.patience()))
	return o
}

func (c *cell) place(of *daemon) int {
	for i, d := range c.all {
		if d == of {
			return i
		}
	}
	return 0
}

// cutOff begins a partition, and returns what ends it.
func (c *cell) cutOff(rng *rand.Rand, how string, leader int) (heal func()) {
	links := func(away bool, of ...int) {
		for _, i := range of {
			c.net.cut(i, away)
		}
	}
	some := []int{leader}
	switch how {
	case standbyOff:
		some = []int{(leader + 1) % len(c.all)}
	case splitAll, quorumIsOff:
		some = []int{0, 1, 2}
	case oneWay:
		c.net.mute(leader, true)
		return func() { c.net.mute(leader, false) }
	case flapping:
		for range 4 {
			links(true, leader)
			wait(200*time.Millisecond + time.Duration(rng.Int64N(int64(800*time.Millisecond))))
			links(false, leader)
			wait(time.Duration(rng.Int64N(int64(500 * time.Millisecond))))
		}
	}
	links(true, some...)
	return func() { links(false, some...) }
}

// withoutQuorum wants that nothing is acknowledged and nothing done once the
// lease is over, and that what is ill is paged.
func (c *cell) withoutQuorum(began time.Time, lasts time.Duration, o *outcome) {
	c.away = max(c.away, lasts)
	wait(time.Until(began.Add(c.plan.lease)))
	pages := ofWhatIsIll(c.pager.Incidents())
	over := began.Add(c.plan.lease + time.Second) // what was sent before the lease ended may take so long to arrive
	wait(time.Until(over))
	refused := []*alert{c.fireAt(classP), c.fireAt(classA), c.fireAt(classB)}
	wait(time.Until(began.Add(lasts)))
	c.sender.mu.Lock()
	for _, a := range refused {
		if a != nil && !a.Taken.IsZero() {
			o.wrong("%s was answered 2xx without a quorum", a.Name)
		}
	}
	c.sender.mu.Unlock()
	for _, in := range c.town.arrivals() {
		if in.At.After(over) {
			o.wrong("a write reached %s without a quorum, %v after it was lost", in.Target, in.At.Sub(began).Round(time.Millisecond))
		}
	}
	if ofWhatIsIll(c.pager.Incidents()) == pages {
		o.wrong("nothing that is ill was paged within %v without a quorum", lasts)
	}
	for _, a := range refused { // what is refused is paged once the store has not answered for a while
		if a != nil && lasts >= time.Minute && !paged(c.pager.Incidents(), a.Name) {
			o.wrong("%s is ill, and was not paged within %v without a quorum", a.Name, lasts)
		}
	}
}

// ofWhatIsIll counts the pages that are not about the store.
func ofWhatIsIll(pages []pagerduty.Incident) (n int) {
	for i := range pages {
		if !strings.HasPrefix(pages[i].DedupKey, "signalbox-store-") {
			n++
		}
	}
	return n
}

// paged reports whether a page was opened for what an alert says is ill: one
// about the store is none.
func paged(pages []pagerduty.Incident, name string) bool {
	return slices.ContainsFunc(pages, func(p pagerduty.Incident) bool {
		return slices.ContainsFunc(p.Events, func(e pagerduty.Event) bool {
			return e.Action == "trigger" && strings.HasPrefix(e.Payload.Summary, name+": ")
		})
	})
}

// export reads the journal from the replica that leads.
func (c *cell) export() ([]byte, error) {
	leader := c.leader()
	if leader == nil {
		return nil, errors.New("nobody leads")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, leader.control+"/api/v1/journal", http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := leader.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the journal: %s", resp.Status)
	}
	return text, err
}

func partitionVariants() (all []variant) {
	for _, how := range []string{isolated, standbyOff, splitAll, oneWay, flapping} {
		for _, l := range latencies[:2] {
			all = append(all, variant{victim: how, latency: l})
		}
	}
	return all
}

func quorumVariants() []variant {
	return []variant{{victim: quorumIsOff, length: 5}, {victim: quorumIsOff, length: 30}, {victim: quorumIsOff, length: 300}}
}
