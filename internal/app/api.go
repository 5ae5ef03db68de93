package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
)

// control serves what people and signalboxctl use: health, metrics, status,
// controls, reload. Everything that changes something is a POST, which a page
// of another site can't send: what a browser marks as cross-origin is refused,
// and a control needs a JSON body besides.
func (d *daemon) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "signalbox is healthy") })
	mux.HandleFunc("GET /-/ready", d.ready)
	mux.HandleFunc("POST /-/reload", d.serveReload)
	mux.Handle("GET /metrics", promhttp.HandlerFor(d.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, r *http.Request) {
		st, err := d.engine.Status(r.Context())
		answer(w, st, err)
	})
	mux.HandleFunc("GET /api/v1/incidents/{id}", func(w http.ResponseWriter, r *http.Request) {
		x, err := d.engine.Explain(r.Context(), r.PathValue("id"))
		if errors.Is(err, engine.ErrNoIncident) {
			err = &refusal{http.StatusNotFound, err}
		}
		answer(w, x, err)
	})
	mux.HandleFunc("POST /api/v1/control", d.serveControl)
	return http.NewCrossOriginProtection().Handler(mux)
}

// ready says 200 only while decisions can be taken: this process leads and its
// store answers.
func (d *daemon) ready(w http.ResponseWriter, _ *http.Request) {
	if !d.engine.Leading() {
		http.Error(w, "not ready: "+engine.ErrNoTerm.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "signalbox is ready")
}

func (d *daemon) serveReload(w http.ResponseWriter, r *http.Request) {
	if err := d.reload(r.Context(), whoIs(r)); err != nil {
		answer(w, nil, &refusal{http.StatusUnprocessableEntity, err})
		return
	}
	answer(w, map[string]string{"config": d.current().config.Hash}, nil)
}

// command is the body of a control request.
type command struct {
	Kind   signalbox.ControlKind `json:"kind"`
	Scope  string                `json:"scope"`
	For    signalbox.Duration    `json:"for,omitempty"` // of a pause; 0: until it is resumed
	Reason string                `json:"reason"`
}

func (d *daemon) serveControl(w http.ResponseWriter, r *http.Request) {
	if ct := r.Header.Get("Content-Type"); !isJSON(ct) {
		answer(w, nil, &refusal{http.StatusUnsupportedMediaType, fmt.Errorf("content type must be application/json, got %q", ct)})
		return
	}
	var c command
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		answer(w, nil, &refusal{http.StatusBadRequest, fmt.Errorf("body: %w", err)})
		return
	}
	control := signalbox.Control{Kind: c.Kind, Scope: c.Scope, Reason: c.Reason, Who: whoIs(r)}
	if c.For > 0 {
		control.Until = d.options.Now().Add(time.Duration(c.For))
	}
	err := d.engine.Control(r.Context(), control)
	if err != nil && !errors.Is(err, engine.ErrNoTerm) {
		err = &refusal{http.StatusUnprocessableEntity, err}
	}
	answer(w, control, err)
}

// isJSON reports whether a content type is JSON, whatever its parameters.
func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == "application/json"
}

// refusal is an error with the status that it is answered with.
type refusal struct {
	status int
	err    error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// answer writes v as JSON, or the error with its status: 503 where nothing
// else is known, since most faults are of the store.
func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err != nil {
		status := http.StatusServiceUnavailable
		if r := (*refusal)(nil); errors.As(err, &r) {
			status = r.status
		}
		w.WriteHeader(status)
		v = map[string]string{"error": err.Error()}
	}
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return // the other side is gone
	}
}
