package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/people"
)

// control serves what people and signalboxctl use: health, metrics, status,
// controls, approvals, reload. Everything that changes something is a POST,
// which a page of another site can't send: what a browser marks as cross-origin
// is refused, and a body must be JSON besides. Where people are configured
// everything but health and metrics is for them, each with the right for it
// (door.go).
func (d *daemon) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "signalbox is healthy") })
	mux.HandleFunc("GET /-/ready", d.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(d.registry, promhttp.HandlerOpts{}))
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request, *asker){
		"POST /-/reload":              d.serveReload,
		"GET /api/v1/status":          d.serveStatus,
		"GET /api/v1/policies":        d.servePolicies,
		"GET /api/v1/approvals":       d.serveApprovals,
		"POST /api/v1/approvals/{id}": d.serveAnswer,
		"GET /api/v1/incidents/{id}":  d.serveIncident,
		"GET /api/v1/whynot":          d.serveWhyNot,
		"POST /api/v1/control":        d.serveControl,
		"GET /api/v1/store/members":   d.serveMembers,
		"POST /api/v1/store/members":  d.serveMemberChange,
		"GET /api/v1/store":           d.serveStore,
		"POST /api/v1/store/backup":   d.serveBackup,
		"GET /api/v1/journal":         d.serveJournal,
		"GET /api/v1/journal/verify":  d.serveVerify,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			who, err := d.asks(r)
			if err != nil {
				answer(w, nil, err)
				return
			}
			serve(w, r, who)
		})
	}
	return http.NewCrossOriginProtection().Handler(d.door(mux))
}

// ready says 200 only while decisions can be taken, and webhooks taken in for
// them: this process leads, or stands by, and its store answers.
func (d *daemon) ready(w http.ResponseWriter, _ *http.Request) {
	if duty, _ := d.engine.Duty(); duty.StandsBy {
		fmt.Fprintln(w, "signalbox is ready: it stands by")
		return
	}
	if !d.engine.Leading() {
		why := engine.ErrNoTerm.Error()
		if waits := d.storeWaits(); waits != "" {
			why = "the store's member waits for " + waits
		}
		http.Error(w, "not ready: "+why, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "signalbox is ready")
}

func (d *daemon) serveReload(w http.ResponseWriter, r *http.Request, who *asker) {
	if err := who.must(people.Reload); err != nil {
		answer(w, nil, err)
		return
	}
	if err := d.reload(r.Context(), who.name); err != nil {
		answer(w, nil, &refusal{http.StatusUnprocessableEntity, err})
		return
	}
	answer(w, map[string]string{"config": d.current().config.Hash}, nil)
}

func (d *daemon) serveStatus(w http.ResponseWriter, r *http.Request, who *asker) {
	if err := who.must(people.View); err != nil {
		answer(w, nil, err)
		return
	}
	st, err := d.engine.Status(r.Context())
	answer(w, st, err)
}

func (d *daemon) servePolicies(w http.ResponseWriter, r *http.Request, who *asker) {
	if err := who.must(people.View); err != nil {
		answer(w, nil, err)
		return
	}
	list, err := d.engine.Policies(r.Context())
	answer(w, nonNil(list), err)
}

// serveIncident tells an incident. Who may view only a part sees nothing of the
// rest, not even whether it is there.
func (d *daemon) serveIncident(w http.ResponseWriter, r *http.Request, who *asker) {
	x, err := d.engine.Explain(r.Context(), r.PathValue("id"))
	if refused := who.mustSee(&x.Incident); refused != nil {
		answer(w, nil, refused)
		return
	}
	answer(w, x, notFound(err))
}

// serveWhyNot tells what one policy would answer for one incident, whether or
// not it is the one that acts.
func (d *daemon) serveWhyNot(w http.ResponseWriter, r *http.Request, who *asker) {
	incident, policy := r.FormValue("incident"), r.FormValue("policy")
	if incident == "" || policy == "" {
		answer(w, nil, &refusal{http.StatusBadRequest, errors.New("whynot needs an incident and a policy")})
		return
	}
	x, err := d.engine.WhyNot(r.Context(), incident, policy)
	if refused := who.mustSee(&x.Incident); refused != nil {
		answer(w, nil, refused)
		return
	}
	answer(w, x, notFound(err))
}

// notFound gives what is not there its status.
func notFound(err error) error {
	if errors.Is(err, engine.ErrNoIncident) || errors.Is(err, engine.ErrNoApproval) || errors.Is(err, engine.ErrNoPolicy) {
		return &refusal{http.StatusNotFound, err}
	}
	return err
}

// maxCommand is the largest body of a request for control, in bytes.
const maxCommand = 64 << 10

// decode reads a body of JSON, of which no field is unknown.
func decode(w http.ResponseWriter, r *http.Request, out any) error {
	if ct := r.Header.Get("Content-Type"); !isJSON(ct) {
		return &refusal{http.StatusUnsupportedMediaType, fmt.Errorf("content type must be application/json, got %q", ct)}
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCommand))
	dec.DisallowUnknownFields()
	if err := dec.Decode(out); err != nil {
		return &refusal{http.StatusBadRequest, fmt.Errorf("body: %w", err)}
	}
	if dec.More() {
		return &refusal{http.StatusBadRequest, errors.New("body: one JSON object is wanted, and nothing after it")}
	}
	return nil
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
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		w.WriteHeader(status)
		v = map[string]string{"error": err.Error()}
	}
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return // the other side is gone
	}
}

// nonNil makes an empty list of none, which JSON would write as null.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
