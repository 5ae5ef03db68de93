package signalbox

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// Source answers questions. Ask does I/O and is shared by the detectors; it
// returns one Answer a Question, in their order, each with its own error. It
// honours ctx, is safe for concurrent use, and no error of it holds a secret.
type Source interface {
	Ask(ctx context.Context, qs []Question, at time.Time) []Answer
}

// History is a Source that can be asked about the past, for replay.
type History interface {
	Range(ctx context.Context, q Question, from, to time.Time, step time.Duration) iter.Seq2[Answer, error]
}

// Detector judges answers. It is pure and safe for concurrent use: the same
// answers, earlier readings and moment give the same readings.
type Detector interface {
	Questions() []Question
	// Judge returns one Reading a series. answers stand in the order of
	// Questions. was holds the last readings by Series: a value between the
	// clear and the breach threshold keeps its condition, and a series of was
	// that is gone is returned as Unknown (or Clear, where presence of the
	// rest proves it). When nothing can be said of any series it returns the
	// Unknown readings of was and one with an empty Series.
	Judge(answers []Answer, was map[string]Reading, at time.Time) []Reading
}

// Follower is a Detector that reads a stream, so that what it asks depends on
// how far it has read: these are asked in place of Questions. good is the
// moment of its last round in which everything was known, which outlives a
// restart; zero: there was none.
type Follower interface {
	Detector
	QuestionsSince(good time.Time) []Question
}

// Watcher is a Source that keeps its answers up to date by a connection of its
// own, and answers Ask from memory.
type Watcher interface {
	Source
	// Watch keeps the connection until ctx ends, and calls changed when the
	// answer to some questions, or with none named to all, may be another.
	// changed never blocks. Watch is called again when it returns early.
	Watch(ctx context.Context, changed func(qs ...Question)) error
}

// Joiner is a Source that asks some questions in one request.
type Joiner interface {
	Source
	// Together returns the places of the questions that are asked in one request
	// each; a group's places stand in order, and every place is in one group.
	Together(qs []Question) [][]int
}

// Clock is a Source that can tell how its server's clock goes.
type Clock interface {
	// Skew is how far the server's clock is ahead of ours; false: not known.
	Skew() (time.Duration, bool)
}

// Receiver is a source that posts to us. It does no I/O, so that it can be
// fuzzed, and is safe for concurrent use.
type Receiver interface {
	// Verify authenticates the message by what it carries; nil where its door
	// has done so already.
	Verify(header http.Header, body []byte, at time.Time) error
	Decode(header http.Header, body []byte, at time.Time) (Batch, error)
}

// Completer is a Receiver's source that can be asked for what a message left
// out, and for its present state.
type Completer interface {
	// Present returns the whole present state as a Batch with Synced set.
	Present(ctx context.Context, at time.Time) (Batch, error)
}

// Remediator does one kind of step. It is safe for concurrent use, keeps no
// state between calls, and no error, receipt or forecast of it holds a secret.
type Remediator interface {
	// Preview only reads: what is there, what would be touched, and the step
	// that takes it back. An error means that it could not be seen; what was
	// seen and forbids the step is Forecast.Refused.
	Preview(ctx context.Context, s Step) (Forecast, error)
	// Start does the step, within ctx's deadline. It compares with
	// a.Forecast, calls a.Gate last thing before each write, and is
	// idempotent on a.ID. A *Failure says that there was surely no effect; any
	// other error leaves doubt, and is settled by Probe.
	Start(ctx context.Context, a Action) (Receipt, error)
	// Probe says how far the action has come. It writes nothing.
	Probe(ctx context.Context, a Action) (Progress, error)
}

// Sealer is a Remediator of class A: the successor of a process that may still
// be about to write puts its own token on the target, so that the late write
// is refused. It is idempotent.
type Sealer interface {
	Seal(ctx context.Context, a Action, t Token) error
}

// Continuer is a Remediator whose work takes more than one write: a limit that
// is lifted in steps, a plan that is checked before it is applied. While Probe
// answers Running with Next set, Continue does the next write. As Start it is
// bounded and short, calls a.Gate last thing before it sends, and is idempotent:
// it finds out at the target how far the work has come. An error leaves the
// action running, and it is called again.
type Continuer interface {
	Continue(ctx context.Context, a Action) error
}

// Failure is an error of Start after which there was surely no effect, and
// there will be none.
type Failure struct {
	Reason string
	Err    error
}

func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Reason
	}
	return f.Reason + ": " + f.Err.Error()
}

func (f *Failure) Unwrap() error { return f.Err }

// RetryAfter is an error that says when it may be tried again.
type RetryAfter struct {
	After time.Duration
	Err   error
}

func (r *RetryAfter) Error() string { return r.Err.Error() }

func (r *RetryAfter) Unwrap() error { return r.Err }
