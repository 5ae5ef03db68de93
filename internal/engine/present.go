package engine

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/store"
)

// Each replica holds a role that nobody contends for, under a lease of its own,
// and named by it and by its configuration: so all see who is present, and with
// what. A replica whose configuration is not the one in force (config/active)
// does not lead while one is present that has it; where none is, it leads, and
// puts its own in force.

const presentRole = "replica/"

// PresenceKeys is the prefix of the store's keys by which replicas are present.
const PresenceKeys = store.LeadPrefix + presentRole

// errAnother: this replica's configuration is not the one in force.
var errAnother = errors.New("the configuration in force is another, and a replica that has it is present")

// Present is a replica that is there.
type Present struct {
	Replica string `json:"replica"`
	Config  string `json:"config"`
}

func presentKey(replica, hash string) string {
	return presentRole + signalbox.KeyPart(replica) + "/" + signalbox.KeyPart(hash)
}

// presence keeps this replica's presence known until ctx ends.
func (e *Engine) presence(ctx context.Context) {
	pause := e.timing.Retry
	for ctx.Err() == nil {
		held, cancel := context.WithCancel(ctx)
		e.reseat.Store(&cancel) // a reload ends it, and it is told anew
		if e.presentAs(held, e.set.Load().Hash) != nil {
			pause = e.wait(held, pause)
		} else {
			pause = e.timing.Retry
		}
		cancel()
	}
}

// presentAs holds the presence with a configuration until ctx ends or it is
// lost.
func (e *Engine) presentAs(ctx context.Context, hash string) error {
	const long = 30 * time.Second // longer than the lease of a process of this name that was killed
	taken := time.AfterFunc(long, func() {
		e.o.Log.Error("the presence of this replica is not known: the store is away, or another process has its name", "replica", e.o.Replica)
	})
	lead, err := e.o.Store.Lead(ctx, presentKey(e.o.Replica, hash))
	taken.Stop()
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-lead.Context().Done():
	}
	resign, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	return lead.Resign(resign)
}

// Present lists the replicas that are there, by their names.
func (e *Engine) Present(ctx context.Context) ([]Present, error) {
	kvs, _, err := e.o.Store.List(ctx, PresenceKeys)
	if err != nil {
		return nil, fmt.Errorf("who is present: %w", err)
	}
	var list []Present
	for _, kv := range kvs {
		name, hash, _ := strings.Cut(strings.TrimPrefix(kv.Key, PresenceKeys), "/")
		list = append(list, Present{Replica: unescaped(name), Config: unescaped(hash)})
	}
	return list, nil
}

func unescaped(part string) string {
	if s, err := url.PathUnescape(part); err == nil {
		return s
	}
	return part
}

// mayLead returns errAnother where this replica's configuration is not the one
// in force, and another is present that has it.
func (e *Engine) mayLead(ctx context.Context, active string) error {
	if active == "" || active == e.set.Load().Hash {
		return nil
	}
	present, err := e.Present(ctx)
	if err != nil {
		return err
	}
	for _, p := range present {
		if p.Config == active && p.Replica != e.o.Replica {
			return fmt.Errorf("%w: replica %q has configuration %.12s", errAnother, p.Replica, active)
		}
	}
	return nil
}

// contend waits until this process leads; it does not try while it may not.
func (e *Engine) contend(ctx context.Context) (store.Leadership, error) {
	told := false
	for ctx.Err() == nil {
		active, err := e.o.Journal.Active(ctx)
		if err == nil {
			err = e.mayLead(ctx, active.Hash)
		}
		if !errors.Is(err, errAnother) { // what can't be read now is looked at again once it leads
			return e.o.Store.Lead(ctx, role)
		}
		if !told {
			told = true
			e.o.Log.Warn("this replica does not lead", "because", err, "its_configuration", e.set.Load().Hash)
		}
		e.wait(ctx, lookEvery)
	}
	return nil, ctx.Err()
}
