package app

import (
	"context"
	"fmt"
	"time"
)

// reload reads the configuration again. All that can fail comes first; then
// the new one is swapped in. After an error the old one goes on as it was.
func (d *daemon) reload(ctx context.Context, who string) error {
	d.swapping.Lock()
	defer d.swapping.Unlock()
	rt, err := d.build()
	if err == nil {
		err = d.mayReceive(rt)
	}
	if err == nil {
		err = mayControlFrom(d.options.Listen, d.options.WebConfig, rt.people.Count())
	}
	if err != nil {
		d.metrics.reloadGood.Set(0)
		d.log.Error("reload", "who", who, "error", err)
		return fmt.Errorf("the old configuration goes on: %w", err)
	}
	swap, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := d.engine.Swap(swap, rt.set); err != nil {
		d.metrics.reloadGood.Set(0)
		return fmt.Errorf("the old configuration goes on: %w", err)
	}
	d.running.Store(rt)
	d.startRounds(d.life)
	d.follow(d.life)
	d.metrics.reloadGood.Set(1)
	d.metrics.reloadAt.Set(float64(d.options.Now().UnixMilli()) / 1e3)
	d.log.Info("reloaded", "who", who, "config", rt.config)
	return nil
}
