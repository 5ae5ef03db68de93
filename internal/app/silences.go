package app

import (
	"context"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/alerts"
)

// silencesEvery is how often the silences are read.
const silencesEvery = 30 * time.Second

// silencer is a source that knows which silences are in force.
type silencer interface {
	Silences(ctx context.Context) ([]signalbox.Silence, error)
	Receiving() alerts.Receiving
}

// silences finds the source whose silences are read.
func (b *builder) silences() error {
	name := b.cfg.Silences
	if name == "" {
		return nil
	}
	src, ok := b.opened[name].(silencer)
	if !ok || !src.Receiving().Asks {
		return fmt.Errorf("guards.silences: source %q must have a url, at which its silences are read", name)
	}
	b.rt.silencer, b.rt.set.Silences = src, name
	return nil
}

// readSilences reads the silences until ctx ends.
func (d *daemon) readSilences(ctx context.Context, name string, from silencer) {
	t := time.NewTicker(silencesEvery)
	defer t.Stop()
	var last signalbox.Silences
	for {
		at := d.options.Now()
		list, err := from.Silences(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			last.Err = err.Error()
			d.log.Warn("silences", "source", name, "error", err)
		default:
			last = signalbox.Silences{At: at, List: list}
			d.metrics.silencesLast.Set(float64(at.UnixMilli()) / 1e3)
		}
		d.engine.Silences(ctx, last)
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}
