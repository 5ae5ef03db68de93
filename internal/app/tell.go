package app

import (
	"context"
	"fmt"
	"time"

	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/outward"
)

// teller tells what was done to others: the audit trail to Loki, and actions to
// the dashboards. What it runs belongs to one configuration.
type teller struct {
	metrics *outward.Metrics
	journal *journal.Journal
	before  chan struct{} // closed when what the configuration before began has ended; nil: there was none
}

// tells is what a configuration wants told.
type tells struct {
	loki       *outward.LokiOptions // nil: nothing
	queue      int
	annotators map[string]kind.Annotator // by source
}

// lastWords is how long a stop waits for what is being told. What was not, is
// told by who leads next.
const lastWords = 2 * time.Second

// tells prepares what of a configuration is told. It connects to nothing.
func (b *builder) tells() error {
	b.rt.tells.annotators = map[string]kind.Annotator{}
	for name, opened := range b.opened {
		if a, ok := opened.(kind.Annotator); ok {
			b.rt.tells.annotators[name] = a
		}
	}
	a := b.cfg.Audit
	if a == nil {
		return nil
	}
	for _, s := range b.cfg.Sources {
		pushed, ok := s.Settings.(kind.Pushed)
		if s.Name != a.Source || !ok {
			continue
		}
		p, key, err := pushed.Pushing()
		if err != nil {
			return fmt.Errorf("%s: audit: source %q: its %s %w", a.Place, s.Name, key, err)
		}
		b.rt.tells.loki = &outward.LokiOptions{
			Name: s.Name, URL: p.URL, Tenant: p.Tenant, Timeout: p.Timeout, HTTP: p.HTTP, Labels: a.Labels, Env: b.env,
		}
		b.rt.tells.queue = a.Queue
		if _, err := outward.NewLoki(*b.rt.tells.loki); err != nil { // reads the TLS files, and connects to nothing
			return fmt.Errorf("%s: audit: %w", a.Place, err)
		}
	}
	return nil
}

// startTelling begins telling under the configuration in force, once what was
// begun under the one before has ended. The caller holds roundsLock, and ctx
// ends with the configuration.
func (d *daemon) startTelling(ctx context.Context, t tells) {
	before, ended := d.teller.before, make(chan struct{})
	d.teller.before = ended
	go func() {
		defer close(ended)
		if before != nil {
			<-before // two clients of one server would be taken for each other
		}
		d.tell(ctx, t)
	}()
	d.roundsAlive.Go(func() {
		<-ctx.Done()
		last := time.NewTimer(lastWords)
		defer last.Stop()
		select {
		case <-ended:
		case <-last.C:
		}
	})
}

// tell tells until ctx ends.
func (d *daemon) tell(ctx context.Context, t tells) {
	annotations := make(chan struct{})
	go func() {
		defer close(annotations)
		if len(t.annotators) == 0 || ctx.Err() != nil {
			return
		}
		outward.NewAnnotations(outward.AnnotationOptions{
			Records: d.store, To: t.annotators, Leads: d.engine.Leading, Log: d.log, Metrics: d.teller.metrics,
		}).Run(ctx)
	}()
	defer func() { <-annotations }()
	if t.loki == nil || ctx.Err() != nil {
		return
	}
	sink, err := outward.NewLoki(*t.loki)
	if err != nil { // it could be made a moment ago
		d.log.Error("the audit trail is not told", "source", t.loki.Name, "error", err)
		return
	}
	outward.NewAudit(outward.AuditOptions{
		Trail: d.teller.journal, Marks: d.store, Sink: sink, Leads: d.engine.Leading, Queue: t.queue, Log: d.log, Metrics: d.teller.metrics,
	}).Run(ctx)
}
