package app

// The rules of clusters' PrometheusRule resources: rulefeed.go reads them, this
// puts them in force, ruleshealth.go tells when they can't be read.

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/signalbox/signalbox/internal/config"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/poll"
	"github.com/signalbox/signalbox/policy"
)

// clusterFeeds finds the feed of each inclusion.
func (b *builder) clusterFeeds() error {
	for _, f := range b.cfg.ClusterRules {
		feed, err := b.d.ruleFeed(b.cfg, f)
		if err != nil {
			return err
		}
		for _, same := range b.rt.feeds { // two inclusions may mean the same resources
			if same.key == feed.key {
				feed = same
			}
		}
		b.rt.feeds = append(b.rt.feeds, feed)
	}
	return nil
}

// follow begins the feeds of the configuration in force, and ends those that it
// does not have. The caller holds swapping.
func (d *daemon) follow(ctx context.Context) {
	used := map[string]*ruleFeed{}
	for _, f := range d.current().feeds {
		used[f.key] = f
		if f.stop != nil {
			continue
		}
		var life context.Context
		life, f.stop = context.WithCancel(ctx)
		d.feedsAlive.Go(func() { f.feed.Run(life) })
		d.feedsAlive.Go(func() { d.swapWith(life, f) })
	}
	for key, f := range d.feeds {
		if used[key] == nil {
			f.stop()
		}
	}
	d.feeds = used
	d.tellRules()
}

// tellRules sets the metrics of the clusters' rules. The caller holds swapping.
func (d *daemon) tellRules() {
	all := map[string]ruleCounts{}
	for _, f := range d.feeds {
		f.mu.Lock()
		c := all[f.source]
		for _, r := range f.resources {
			c.rules += len(r.rules)
			c.resources++
			if r.fault() != "" {
				c.refused++
			}
		}
		all[f.source] = c
		f.mu.Unlock()
	}
	d.metrics.clusters(all)
}

// Pauses before a change of resources is taken, so that those that come
// together are taken together, and before one that failed is tried again.
const (
	gatherRules = 200 * time.Millisecond
	retryRules  = 2 * time.Second
)

// swapWith takes in what a feed says, whenever it says something else.
func (d *daemon) swapWith(ctx context.Context, f *ruleFeed) {
	var due <-chan time.Time // nil: nothing has changed
	failed := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.feed.Changed():
			if due == nil {
				due = time.After(gatherRules)
			}
			continue
		case <-due:
		}
		err := d.swapRules(ctx, f, failed)
		due, failed = nil, err != nil && ctx.Err() == nil
		if failed {
			d.log.Error("the rules of a cluster could not be put in force; they are tried again", "source", f.source, "error", err)
			due = time.After(retryRules)
		}
	}
}

// swapRules puts in force what a feed says now. It is a reload of these rules
// alone: the configuration is not read again, and what an unchanged rule
// remembers is kept. again says that what changed before is not in force yet.
func (d *daemon) swapRules(ctx context.Context, f *ruleFeed, again bool) error {
	d.swapping.Lock()
	defer d.swapping.Unlock()
	if changed := f.take(d); !changed && !again {
		return nil
	}
	rt, err := d.withRules(d.current().fixed)
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := d.engine.Swap(within, rt.set); err != nil {
		return err
	}
	d.roundsLock.Lock()
	defer d.roundsLock.Unlock()
	d.running.Store(rt)
	d.tellRules()
	if d.polls && d.endRounds != nil { // else polling begins with them
		d.poller.Set(rt.polled)
		d.restoreRules(rt)
	}
	return nil
}

// withRules returns the runtime of a configuration with the detectors of what
// its clusters' resources say. fixed is that without them, and stays as it is.
func (d *daemon) withRules(fixed *runtime) (*runtime, error) {
	rt, set := *fixed, *fixed.set
	rt.fixed, rt.set = fixed, &set
	if len(fixed.feeds) == 0 {
		return &rt, nil
	}
	set.Detectors, rt.watched, rt.polled = maps.Clone(set.Detectors), maps.Clone(rt.watched), slices.Clone(rt.polled)
	b := &builder{d: d, cfg: fixed.config, opened: fixed.opened, kept: d.keptRules(), rt: &rt}
	judged := fixed.config.Policy
	judged.Detectors = slices.Clone(judged.Detectors)
	for _, f := range fixed.feeds {
		f.fits()
	}
	for i, f := range fixed.feeds {
		if err := b.feedDetectors(f, fixed.config.ClusterRules[i], &judged); err != nil {
			return nil, err
		}
	}
	var err error
	if set.Handbook, err = policy.New(judged); err != nil {
		return nil, err
	}
	return &rt, b.sayUnproved()
}

// feedDetectors adds the detectors of one inclusion, and the one that tells
// whether its resources can be read.
func (b *builder) feedDetectors(f *ruleFeed, use *config.RuleFiles, judged *policy.Config) error {
	taken := func(name string) bool { _, is := b.rt.set.Detectors[name]; return is }
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(f.resources)) {
		r, prefix := f.resources[key], f.source+"/"+key+"/"
		if !r.inForce {
			b.rt.set.Unread = append(b.rt.set.Unread, prefix)
			continue
		}
		taking := slices.DeleteFunc(slices.Clone(r.rules), func(rule config.Rule) bool { return !use.Takes(rule) })
		if len(b.rt.polled)+len(taking) > config.MaxRules {
			r.over = fmt.Sprintf("%s: with its %d rules there would be more than %d rules and detectors together", key, len(taking), config.MaxRules)
			b.rt.set.Unread = append(b.rt.set.Unread, prefix)
			continue
		}
		for _, rule := range taking {
			det := use.Detector(prefix, rule, taken, use.Place)
			if err := b.detector(det); err != nil {
				return err
			}
			judged.Detectors = append(judged.Detectors, config.Judged(det))
		}
	}
	if !f.read {
		b.rt.set.Unread = append(b.rt.set.Unread, f.source+"/")
	}
	b.feedHealth(f, use, taken)
	return nil
}

// restoreRules gives the poller what the store knew of detectors that came
// after polling began, once. What was known of others is not needed any more.
// The caller holds roundsLock.
func (d *daemon) restoreRules(rt *runtime) {
	var now, later engine.Restored
	now.Good, later.Good = map[string]time.Time{}, map[string]time.Time{}
	for _, r := range d.restored.Open {
		if _, is := rt.set.Detectors[r.Detector]; is {
			now.Open = append(now.Open, r)
		} else if rt.set.MayCome(r.Detector) {
			later.Open = append(later.Open, r)
		}
	}
	for name, at := range d.restored.Good {
		if _, is := rt.set.Detectors[name]; is {
			now.Good[name] = at
		} else if rt.set.MayCome(name) {
			later.Good[name] = at
		}
	}
	for _, k := range d.restored.Streaks {
		if _, is := rt.set.Detectors[k.Detector]; is {
			now.Streaks = append(now.Streaks, k)
		} else if rt.set.MayCome(k.Detector) {
			later.Streaks = append(later.Streaks, k)
		}
	}
	d.restored = later
	if len(now.Open)+len(now.Good) > 0 {
		d.poller.Restore(now.Open, now.Good)
	}
	d.poller.Resume(now.Streaks)
}

// restore gives the poller what the store knew, and keeps what is for detectors
// that are still to come.
func (d *daemon) restore(r engine.Restored) {
	d.roundsLock.Lock()
	defer d.roundsLock.Unlock()
	d.restored = r
	d.restoreRules(d.current())
}

// feedHealth adds the detector that tells whether a cluster's rules can be
// read: while they can't, its source is Unknown, and that is paged.
func (b *builder) feedHealth(f *ruleFeed, use *config.RuleFiles, taken func(string) bool) {
	name := "prometheusrules/" + f.source
	for n := 2; taken(name); n++ {
		name = fmt.Sprintf("prometheusrules/%s#%d", f.source, n)
	}
	h := &rulesHealth{name: name, feed: f}
	b.rt.set.Detectors[name] = engine.Detector{Source: f.source, Polled: true}
	b.rt.polled = append(b.rt.polled, poll.Detector{
		Name: name, Detector: h, Source: f.source, Asks: h, Group: name, Interval: healthEvery, UnknownAfter: use.Common.UnknownAfter,
		Hash: name + " " + f.key,
	})
}
