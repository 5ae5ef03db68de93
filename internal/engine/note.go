package engine

import (
	"context"

	"github.com/signalbox/signalbox/internal/journal"
)

// Note puts on record what a person is about to do to the daemon itself, and
// which changes no state. It returns ErrNoTerm when there is no store to record
// it in; then it must not be done.
func (e *Engine) Note(ctx context.Context, kind journal.Kind, who string, data any) error {
	result := ErrNoTerm
	err := e.call(ctx, func(l *loop) {
		w := &write{entries: []journal.Record{{Kind: kind, Who: who, Data: data}}}
		if l.commit(w) {
			result = nil
		}
	})
	if err != nil {
		return err
	}
	return result
}
