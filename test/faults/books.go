package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/etcd"
)

// books is what the journal says, read from its entries.
type books struct {
	incidents map[string]*signalbox.Incident // by episode, as last written
	actions   map[signalbox.ActionID]*signalbox.Action
	order     []*signalbox.Action // by their claims
	doubts    map[signalbox.ActionID]bool
	paged     map[signalbox.IncidentID]time.Time // when its page was first wanted
	last      time.Time                          // of the last entry
}

// read verifies the journal of a daemon that was stopped, and reads it.
func (c *cell) read() (*books, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s, err := c.openStore(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	j, err := journal.Open(ctx, s, journal.Options{Now: time.Now, Dir: filepath.Join(c.data, "archive")})
	if err != nil {
		return nil, err
	}
	if _, err := j.Verify(ctx); err != nil {
		return nil, err
	}
	b := newBooks()
	for e, err := range j.Read(ctx, 0, 0) {
		if err != nil {
			return nil, err
		}
		if err := b.take(&e); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func newBooks() *books {
	return &books{incidents: map[string]*signalbox.Incident{}, actions: map[signalbox.ActionID]*signalbox.Action{}, doubts: map[signalbox.ActionID]bool{}, paged: map[signalbox.IncidentID]time.Time{}}
}

// readExport verifies and reads the journal that the leader exports.
func (c *cell) readExport() (*books, error) {
	text, err := c.export()
	if err != nil {
		return nil, err
	}
	if _, err := journal.VerifyExport(bytes.NewReader(text)); err != nil {
		return nil, err
	}
	b := newBooks()
	for line := range bytes.Lines(text) {
		e, err := journal.DecodeEntry(bytes.TrimSpace(line))
		if err != nil {
			return nil, err
		}
		if err := b.take(&e); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// openStore opens the store of a cell whose daemons are stopped.
func (c *cell) openStore(ctx context.Context) (store.Store, error) {
	if c.etcd != nil {
		return etcd.Dial(etcd.Options{Endpoints: []string{c.etcd.URL}, CAFile: c.etcd.CA, CertFile: c.etcd.Cert, KeyFile: c.etcd.Key})
	}
	s, err := etcd.Start(ctx, etcd.EmbeddedOptions{Dir: filepath.Join(c.data, "store"), Binary: []string{c.binary, etcd.MemberCommand}, TTL: lease})
	if err != nil {
		return nil, err
	}
	if err := s.Await(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (b *books) take(e *journal.Entry) error {
	if e.Kind == journal.Doubt && e.Action != "" {
		b.doubts[e.Action] = true
	}
	b.last = e.At
	for i := range e.Changes {
		c := &e.Changes[i]
		if c.Deleted {
			continue
		}
		switch key := string(c.Key); {
		case strings.HasPrefix(key, "incident/"):
			inc, err := record[signalbox.Incident](c)
			if err != nil {
				return err
			}
			b.incidents[inc.Reading.Labels["episode"]] = inc
			if _, known := b.paged[inc.ID]; !known && inc.Page != "" {
				b.paged[inc.ID] = e.At
			}
		case strings.HasPrefix(key, "action/"):
			a, err := record[signalbox.Action](c)
			if err != nil {
				return err
			}
			if old := b.actions[a.ID]; old != nil {
				*old = *a
				continue
			}
			b.actions[a.ID] = a
			b.order = append(b.order, a)
		}
	}
	return nil
}

// record decodes what a change has put.
func record[T any](c *journal.Change) (*T, error) {
	var in struct {
		Record *T `json:"r"`
	}
	if err := json.Unmarshal(c.Value, &in); err != nil || in.Record == nil {
		return nil, fmt.Errorf("%s can't be read: %w", c.Key, err)
	}
	return in.Record, nil
}

// of finds the action of an effect: the one that the request named, else the
// last that was claimed at the target before the request arrived.
func (b *books) of(in arrival) *signalbox.Action {
	if in.Action != "" {
		a := b.actions[signalbox.ActionID(in.Action)]
		if a != nil && a.ClaimedAt.After(in.At) {
			return nil
		}
		return a
	}
	var found *signalbox.Action
	for _, a := range b.order {
		if a.Step.Name == in.Target && !a.ClaimedAt.After(in.At) {
			found = a
		}
	}
	return found
}

// onRecord leaves out what came after the books were asked for, of actions that
// may have been claimed since: a cluster that had no time to come to rest goes on
// while its journal is exported.
func (b *books) onRecord(log []arrival, asked time.Time) []arrival {
	return slices.DeleteFunc(log, func(in arrival) bool {
		if !in.At.After(asked) {
			return false
		}
		a := b.of(in)
		return a == nil || !a.InFlight()
	})
}

// sort puts the actions in the order of their claims.
func (b *books) sort() {
	slices.SortStableFunc(b.order, func(x, y *signalbox.Action) int { return x.ClaimedAt.Compare(y.ClaimedAt) })
}

// attempts is how often the daemon tries a step.
const attempts = 3

// staysThrown reports whether what an incident threw is left to a person, who is
// paged: each attempt to take it back failed, as it does when each is killed.
func (b *books) staysThrown(inc *signalbox.Incident) bool {
	failed := map[signalbox.ActionID]int{}
	for _, id := range inc.Actions {
		if a := b.actions[id]; a != nil && a.Undoes != "" && a.Stage == signalbox.Broken {
			if failed[a.Undoes]++; failed[a.Undoes] == attempts {
				return inc.Page != ""
			}
		}
	}
	return false
}
