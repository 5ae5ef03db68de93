package app

import (
	"cmp"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/alerts"
	"github.com/signalbox/signalbox/internal/config"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/poll"
)

// receiver is one source that posts to us.
type receiver struct {
	source   string
	path     string
	door     *kind.Door
	take     signalbox.Receiver
	complete signalbox.Completer // nil: can't be asked
	assign   func(signalbox.Batch) signalbox.Batch
	every    time.Duration    // between two reconciliations; 0: never
	maxBody  int64            // bytes
	within   time.Duration    // from the message to our answer
	watchdog *alerts.Watchdog // nil: none
	health   *sourceHealth
}

// own hears the watchdog, and gives what is left of a batch to its detectors.
func (rec *receiver) own(batch signalbox.Batch, at time.Time) signalbox.Batch {
	batch, heard := rec.watchdog.Take(batch)
	rec.health.hear(heard, at)
	batch = rec.assign(batch)
	batch.Heard = heard
	return batch
}

// poster is a source that posts alerts, and can be asked for those that fire.
// It may be a signalbox.Source too: what its detectors ask is polled.
type poster interface {
	signalbox.Receiver
	signalbox.Completer
	Receiving() alerts.Receiving
}

// receivers opens a path for each source that takes webhooks.
func (b *builder) receivers() error {
	for _, s := range b.cfg.Sources {
		if s.Kind.Receives == nil || s.Kind.Receives(s.Settings) == "" {
			continue
		}
		path := s.Kind.Receives(s.Settings)
		src, ok := b.opened[s.Name].(poster)
		if !ok {
			return fmt.Errorf("%s: source %q: receive: a source of kind %s takes no webhooks", s.Place, s.Name, s.Kind.Name)
		}
		if other := b.rt.receivers[path]; other != nil {
			return fmt.Errorf("%s: source %q: receive: %s is taken by source %q", s.Place, s.Name, path, other.source)
		}
		if named, ok := b.rt.set.Detectors[s.Name]; ok && (named.Polled || named.Source != s.Name) {
			return fmt.Errorf("%s: source %q: no detector that asks, or of another source, may have its name: it is the one of the alerts that no detector takes", s.Place, s.Name)
		}
		if _, named := b.rt.set.Detectors[s.Name]; !named {
			b.rt.set.Detectors[s.Name] = engine.Detector{Source: s.Name}
		}
		b.rt.receivers[path] = b.receiver(s, path, src)
	}
	return nil
}

func (b *builder) receiver(s *config.Source, path string, src poster) *receiver {
	terms := src.Receiving()
	selectors, fallback := b.selectors[s.Name], alerts.Fallback(s.Name)
	rec := &receiver{
		source: s.Name, path: path, door: terms.Door, take: src, every: terms.Every, maxBody: terms.MaxBody, within: cmp.Or(terms.Within, 10*time.Second), watchdog: terms.Watchdog,
		assign: func(batch signalbox.Batch) signalbox.Batch { return alerts.Assign(batch, selectors, fallback) },
	}
	if terms.Asks {
		rec.complete = src
	}
	health := poll.SourceDetector(s.Name)
	if _, asked := src.(signalbox.Source); asked {
		health += "/alerts" // the other is told by its rounds
		b.rt.set.Detectors[health] = engine.Detector{Source: s.Name, Owner: b.cfg.DefaultOwner, Polled: true, Health: true}
	}
	rec.health = b.health(rec, health, s.UnknownAfter)
	return rec
}

// health is how a receiver's source is. It goes on over a reload, unless what
// it watches for is another.
func (b *builder) health(rec *receiver, name string, unknownAfter time.Duration) *sourceHealth {
	reads := rec.complete != nil && rec.every > 0
	if was := b.d.current(); was != nil {
		for _, old := range was.receivers {
			if old.source == rec.source && old.health.name == name && old.health.reads == reads && old.watchdog.Same(rec.watchdog) {
				old.health.redefine(unknownAfter, rec.watchdog.Within())
				return old.health
			}
		}
	}
	return newSourceHealth(name, unknownAfter, rec.watchdog.Within(), reads)
}
