package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/step"
)

// webhooks serves the receivers' paths of the configuration in force.
func (d *daemon) webhooks() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The raw path: an escaped slash names no receiver.
		rec := d.current().receivers[r.URL.EscapedPath()]
		if rec == nil {
			d.metrics.webhook("unknown_path")
			http.NotFound(w, r)
			return
		}
		status, err := d.receive(rec, r)
		if err != nil {
			d.log.Warn("webhook refused", "source", rec.source, "status", status, "from", r.RemoteAddr, "error", err)
			http.Error(w, err.Error(), status)
			return
		}
		w.WriteHeader(status)
		if step.Armed {
			_ = http.NewResponseController(w).Flush() // else the answer leaves after this
			step.At(step.Answered)
		}
	})
}

// receive takes one webhook in. 2xx only once it is durable; a fault of ours
// is 503, which its sender tries again.
func (d *daemon) receive(rec *receiver, r *http.Request) (int, error) {
	if r.Method != http.MethodPost {
		return d.refused("method", http.StatusMethodNotAllowed, errors.New("only POST is taken here"))
	}
	if err := rec.door.Check(r); err != nil {
		if errors.Is(err, kind.ErrNoSecret) {
			return d.refused("fault", http.StatusServiceUnavailable, err)
		}
		return d.refused("credential", http.StatusUnauthorized, err)
	}
	if ct := r.Header.Get("Content-Type"); ct != "" && !isJSON(ct) {
		return d.refused("shape", http.StatusUnsupportedMediaType, fmt.Errorf("content type must be application/json, got %q", ct))
	}
	if r.Header.Get("Content-Encoding") != "" {
		return d.refused("shape", http.StatusUnsupportedMediaType, errors.New("no content encoding is taken"))
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, rec.maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return d.refused("shape", http.StatusRequestEntityTooLarge, fmt.Errorf("body is over %d bytes", rec.maxBody))
	}
	if err != nil {
		return d.refused("cut", http.StatusBadRequest, errors.New("the body was cut off"))
	}
	now := d.options.Now()
	if err := rec.take.Verify(r.Header, body, now); err != nil {
		if errors.Is(err, kind.ErrNoSecret) {
			return d.refused("fault", http.StatusServiceUnavailable, err)
		}
		return d.refused("credential", http.StatusUnauthorized, err)
	}
	batch, err := rec.take.Decode(r.Header, body, now)
	if err != nil {
		return d.refused("shape", http.StatusBadRequest, err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), rec.within)
	defer cancel()
	return d.accept(ctx, rec, batch)
}

// accept completes a batch that left something out, and makes it durable.
func (d *daemon) accept(ctx context.Context, rec *receiver, batch signalbox.Batch) (int, error) {
	if batch.Incomplete != "" {
		if rec.complete == nil {
			return d.refused("incomplete", http.StatusServiceUnavailable, errors.New(batch.Incomplete))
		}
		whole, err := rec.complete.Present(ctx, d.options.Now())
		if err != nil {
			return d.refused("incomplete", http.StatusServiceUnavailable, fmt.Errorf("%s, and the rest can't be read: %w", batch.Incomplete, err))
		}
		batch.Readings, batch.Incomplete = append(batch.Readings, whole.Readings...), ""
	}
	batch = rec.own(batch, d.options.Now())
	if d.engine.Leading() {
		batch.Heard = time.Time{} // who must know it does
	}
	if len(batch.Readings) == 0 && len(batch.Words) == 0 && batch.Heard.IsZero() {
		d.metrics.webhook("taken")
		return http.StatusOK, nil // there is nothing to record
	}
	err := d.engine.Receive(ctx, batch)
	if errors.Is(err, journal.ErrTooLarge) {
		return d.refused("shape", http.StatusRequestEntityTooLarge, err)
	}
	if err != nil {
		return d.refused("fault", http.StatusServiceUnavailable, fmt.Errorf("not recorded: %w", err))
	}
	d.metrics.webhook("taken")
	return http.StatusOK, nil
}

func (d *daemon) refused(why string, status int, err error) (int, error) {
	d.metrics.webhook(why)
	return status, err
}
