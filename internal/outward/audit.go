package outward

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
)

// Trail is what is read of the journal; *journal.Journal is one.
type Trail interface {
	Head(ctx context.Context) (uint64, error)
	Oldest(ctx context.Context) (uint64, error)
	Lines(ctx context.Context, from, to uint64) iter.Seq2[journal.Line, error]
}

// Sink takes the lines of the trail; *Loki is one. It is used by one goroutine
// at a time.
type Sink interface {
	// Push returns nil once all lines are acknowledged, and a *Refused where
	// some are refused for what they are. After any error some may have been
	// taken. It returns soon after ctx has ended.
	Push(ctx context.Context, lines []Line) error
	// Has returns which of the lines are there, by their numbers.
	Has(ctx context.Context, lines []Line) (map[uint64]bool, error)
	// Close returns when nothing is on its way any more.
	Close()
}

// Line is one entry as it is told. The same entry always makes the same line.
type Line struct {
	Seq  uint64
	At   time.Time
	Text string
}

// Refused says that lines are refused for what they are: to send them again is
// of no use.
type Refused struct{ Err error }

func (r *Refused) Error() string { return "refused: " + r.Err.Error() }

func (r *Refused) Unwrap() error { return r.Err }

// AuditOptions is what an Audit is made of; all fields are needed.
type AuditOptions struct {
	Trail   Trail
	Marks   Marks
	Sink    Sink
	Leads   func() bool // whether this process leads now
	Queue   int         // the most entries that wait
	Log     *slog.Logger
	Metrics *Metrics
}

// The bounds of one batch, and how often is looked for new entries.
const (
	batchEntries = 500
	batchBytes   = 512 << 10
	every        = time.Second
)

// The pauses after a failure, and how often Loki is asked in vain before its
// own comparison of equal lines has to do.
const (
	firstPause = time.Second
	lastPause  = time.Minute
	maxUnasked = 3
)

// Audit tells the journal's entries to a Sink. It is used by Run alone.
type Audit struct {
	o       AuditOptions
	mark    mark
	known   bool // mark is the store's
	doubt   bool // some of what comes next may be there already
	unasked int  // how often in a row the sink did not say what it has
	pause   time.Duration
}

// NewAudit returns an Audit that has told nothing yet.
func NewAudit(o AuditOptions) *Audit {
	o.Log = o.Log.With("component", "audit")
	return &Audit{o: o, doubt: true}
}

// Run tells entries until ctx ends, and closes the sink. What was not told by
// then is told by who leads next.
func (a *Audit) Run(ctx context.Context) {
	defer a.o.Sink.Close()
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		t.Reset(a.turn(ctx))
	}
}

// turn tells one batch, and returns when to look again.
func (a *Audit) turn(ctx context.Context) time.Duration {
	if !a.o.Leads() {
		a.known, a.doubt, a.pause = false, true, 0
		a.o.Metrics.queue.Set(0)
		return every
	}
	more, err := a.tell(ctx)
	switch {
	case ctx.Err() != nil:
		return every // Run ends
	case err != nil:
		a.known, a.doubt = false, true
		a.pause = min(max(2*a.pause, firstPause), lastPause)
		a.o.Log.Warn("the audit trail waits", "error", err, "again_in", a.pause)
		return a.pause
	case more:
		a.pause = 0
		return 0
	}
	a.pause = 0
	return every
}

// tell tells one batch; more says that others wait.
func (a *Audit) tell(ctx context.Context) (more bool, err error) {
	head, err := a.begin(ctx)
	if err != nil {
		return false, a.failed(stepRead, err)
	}
	if head == a.mark.seq {
		return false, nil
	}
	lines, err := a.batch(ctx)
	if err != nil {
		return false, a.failed(stepRead, err)
	}
	left := lines
	if a.doubt {
		if left, err = a.missing(ctx, lines); err != nil {
			return false, err
		}
	}
	refused, err := a.deliver(ctx, left)
	if err != nil {
		return false, err
	}
	last := lines[len(lines)-1].Seq
	if err := a.move(ctx, last); err != nil {
		return false, err
	}
	a.doubt = false
	a.o.Metrics.pushed.Add(float64(len(lines) - refused))
	a.o.Metrics.dropped.WithLabelValues(droppedRefused).Add(float64(refused))
	a.waiting(head)
	return last < head, nil
}

// stepError is an error that was counted.
type stepError struct {
	step string
	err  error
}

func (e *stepError) Error() string { return e.step + ": " + e.err.Error() }

func (e *stepError) Unwrap() error { return e.err }

// failed counts an error, once.
func (a *Audit) failed(step string, err error) error {
	if _, counted := errors.AsType[*stepError](err); counted {
		return err
	}
	a.o.Metrics.errors.WithLabelValues(step).Inc()
	return &stepError{step, err}
}

func (a *Audit) waiting(head uint64) {
	a.o.Metrics.queue.Set(float64(head - a.mark.seq))
	a.o.Metrics.sequence.Set(float64(a.mark.seq))
}

// begin reads the journal's head and the mark, and drops what is too much.
func (a *Audit) begin(ctx context.Context) (head uint64, err error) {
	if !a.known {
		if a.mark, err = readMark(ctx, a.o.Marks); err != nil {
			return 0, err
		}
		a.known = true
	}
	if head, err = a.o.Trail.Head(ctx); err != nil {
		return 0, err
	}
	if a.mark.seq > head {
		a.o.Log.Error("the journal ends before what was told of it: it is told from its begin", "seq", head, "told", a.mark.seq)
		a.mark.seq, a.doubt = 0, true
	}
	switch most := uint64(max(a.o.Queue, 1)); {
	case a.mark.mod == 0: // the first time: what is older was never owed
		err = a.move(ctx, head-min(head, most))
	case head-a.mark.seq > most:
		err = a.skip(ctx, head-most, droppedOverflow)
	}
	if err != nil {
		return 0, err
	}
	a.waiting(head)
	return head, nil
}

// skip moves the mark over entries that will not be told.
func (a *Audit) skip(ctx context.Context, to uint64, reason string) error {
	from := a.mark.seq
	if err := a.move(ctx, to); err != nil {
		return err
	}
	a.o.Metrics.dropped.WithLabelValues(reason).Add(float64(to - from))
	a.o.Log.Error("entries of the audit trail were dropped", "reason", reason, "from", from+1, "to", to)
	return nil
}

func (a *Audit) move(ctx context.Context, to uint64) error {
	m, err := a.mark.put(ctx, a.o.Marks, to)
	if err != nil {
		if errors.Is(err, store.ErrConflict) {
			err = fmt.Errorf("another replica told entries too: %w", err)
		}
		return a.failed(stepMark, err)
	}
	a.mark = m
	return nil
}

// batch reads the entries after the mark, at least one. Where the next ones
// are in another replica's archive, it goes on after them.
func (a *Audit) batch(ctx context.Context) ([]Line, error) {
	lines, err := a.read(ctx)
	if len(lines) > 0 {
		return lines, nil // an error comes again when its entry is the first
	}
	oldest, gone := a.o.Trail.Oldest(ctx)
	if gone != nil || oldest <= a.mark.seq+1 {
		return nil, errors.Join(err, gone)
	}
	if err := a.skip(ctx, oldest-1, droppedArchived); err != nil {
		return nil, err
	}
	if lines, err = a.read(ctx); len(lines) == 0 && err == nil {
		err = fmt.Errorf("entry %d can't be read", oldest)
	}
	if len(lines) > 0 {
		err = nil
	}
	return lines, err
}

func (a *Audit) read(ctx context.Context) (lines []Line, err error) {
	size := 0
	for l, err := range a.o.Trail.Lines(ctx, a.mark.seq+1, 0) {
		if err != nil {
			return lines, err
		}
		text := lineOf(&l)
		if size += len(text); size > batchBytes && len(lines) > 0 {
			break
		}
		if lines = append(lines, Line{l.Seq, l.At, text}); len(lines) == batchEntries {
			break
		}
	}
	return lines, nil
}

// missing leaves out what the sink has already. A sink that can't be asked
// gets all.
func (a *Audit) missing(ctx context.Context, lines []Line) ([]Line, error) {
	has, err := a.o.Sink.Has(ctx, lines)
	if err != nil {
		err = a.failed(stepAsk, err)
		if a.unasked++; a.unasked < maxUnasked && !unanswerable(err) || ctx.Err() != nil {
			return nil, err
		}
		a.o.Log.Warn("it can't be asked which entries it has: equal lines are left to it to know", "error", err)
		return lines, nil
	}
	a.unasked = 0
	var left []Line
	for _, l := range lines {
		if !has[l.Seq] {
			left = append(left, l)
		}
	}
	return left, nil
}

// unanswerable tells a server that does not answer this question from one that
// does not answer now.
func unanswerable(err error) bool {
	status := httpclient.Status(err)
	return status >= 400 && status < 500 && status != 429
}

// deliver pushes lines, in parts where some are refused, and returns how many
// were refused alone.
func (a *Audit) deliver(ctx context.Context, lines []Line) (refused int, err error) {
	if len(lines) == 0 {
		return 0, nil
	}
	err = a.o.Sink.Push(ctx, lines)
	if err == nil {
		return 0, nil
	}
	if _, ok := errors.AsType[*Refused](err); !ok {
		return 0, a.failed(stepPush, err)
	}
	if len(lines) == 1 {
		a.o.Log.Error("an entry of the audit trail is dropped", "reason", droppedRefused, "seq", lines[0].Seq, "error", err)
		return 1, nil
	}
	// Loki takes the good lines of a batch in which it refuses others.
	if lines, err = a.missing(ctx, lines); err != nil {
		return 0, err
	}
	half := (len(lines) + 1) / 2
	for _, part := range [][]Line{lines[:half], lines[half:]} {
		n, err := a.deliver(ctx, part)
		refused += n
		if err != nil {
			return refused, err
		}
	}
	return refused, nil
}
