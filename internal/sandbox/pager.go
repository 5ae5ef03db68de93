package sandbox

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
	"unicode/utf8"
)

// Bounds of PagerDuty Events v2, and of what the pager keeps.
const (
	maxEvent    = 512 << 10 // bytes
	maxDedupKey = 255       // characters
	maxSummary  = 1024      // characters
	maxOpen     = 100       // open pages: beyond, 429
	maxEnded    = 50        // resolved pages that are still shown
)

var (
	actions    = []string{"trigger", "acknowledge", "resolve"}
	severities = []string{"critical", "error", "warning", "info"}
)

// event is a request to /v2/enqueue, as far as the pager reads it.
type event struct {
	RoutingKey string `json:"routing_key"`
	Action     string `json:"event_action"`
	DedupKey   string `json:"dedup_key"`
	Payload    *struct {
		Summary  string         `json:"summary"`
		Source   string         `json:"source"`
		Severity string         `json:"severity"`
		Details  map[string]any `json:"custom_details"`
	} `json:"payload"`
}

// Page is one alert as the pager shows it.
type Page struct {
	Owner    string         `json:"owner"` // whose routing key it came with
	DedupKey string         `json:"dedup_key"`
	Status   string         `json:"status"` // triggered, acknowledged or resolved
	Summary  string         `json:"summary"`
	Severity string         `json:"severity"`
	Source   string         `json:"source"`
	Details  map[string]any `json:"custom_details,omitempty"`
	Times    int            `json:"times"` // how often it was triggered
	Since    time.Time      `json:"since"`
	EndedAt  time.Time      `json:"ended_at,omitzero"`
}

// The states of a Page.
const (
	triggered    = "triggered"
	acknowledged = "acknowledged"
	resolved     = "resolved"
)

// decodeEvent reads an event and holds it against the rules of the Events API.
func decodeEvent(body []byte) (event, error) {
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		return event{}, fmt.Errorf("event must be a JSON object: %w", err)
	}
	switch {
	case e.RoutingKey == "":
		return event{}, errors.New("'routing_key' is missing or blank")
	case !slices.Contains(actions, e.Action):
		return event{}, fmt.Errorf("'event_action' must be one of %v, got %+q", actions, e.Action)
	case utf8.RuneCountInString(e.DedupKey) > maxDedupKey:
		return event{}, fmt.Errorf("'dedup_key' must have at most %d characters", maxDedupKey)
	case e.Action != "trigger" && e.DedupKey == "":
		return event{}, errors.New("'dedup_key' is missing or blank")
	case e.Action != "trigger":
		return e, nil
	case e.Payload == nil || e.Payload.Summary == "" || e.Payload.Source == "":
		return event{}, errors.New("'payload' must have 'summary' and 'source'")
	case utf8.RuneCountInString(e.Payload.Summary) > maxSummary:
		return event{}, fmt.Errorf("'payload.summary' must have at most %d characters", maxSummary)
	case !slices.Contains(severities, e.Payload.Severity):
		return event{}, fmt.Errorf("'payload.severity' must be one of %v, got %+q", severities, e.Payload.Severity)
	}
	if e.DedupKey == "" {
		e.DedupKey = rand.Text()
	}
	return e, nil
}

// pager takes PagerDuty Events v2 and shows its pages. Deduplication is by
// routing key and dedup_key; an event about a page that is not open is accepted
// and dropped, as the vendor does. It is safe for concurrent use.
type pager struct {
	owners map[string]string // routing key to owner
	now    func() time.Time
	tell   func(text string)

	mu    sync.Mutex
	open  []Page // the oldest first
	ended []Page
}

func (p *pager) routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /v2/enqueue", p.enqueue)
	mux.HandleFunc("GET /pages", func(w http.ResponseWriter, _ *http.Request) { respond(w, http.StatusOK, p.pages()) })
}

// pages returns the open pages and the latest that are over.
func (p *pager) pages() []Page {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(append([]Page{}, p.ended...), p.open...)
}

type pagerAnswer struct {
	Status   string   `json:"status"`
	Message  string   `json:"message"`
	DedupKey string   `json:"dedup_key,omitempty"`
	Errors   []string `json:"errors,omitempty"`
}

func (p *pager) enqueue(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEvent))
	if err != nil {
		respond(w, http.StatusRequestEntityTooLarge, pagerAnswer{Status: "invalid event", Message: "Event is too large"})
		return
	}
	e, err := decodeEvent(body)
	owner := p.owners[e.RoutingKey]
	if err == nil && owner == "" {
		err = errors.New("'routing_key' is not one of this company")
	}
	if err != nil {
		respond(w, http.StatusBadRequest, pagerAnswer{Status: "invalid event", Message: "Event object is invalid", Errors: []string{err.Error()}})
		return
	}
	if !p.take(owner, e) {
		w.Header().Set("Retry-After", "5")
		respond(w, http.StatusTooManyRequests, pagerAnswer{Status: "throttle exceeded", Message: "Too many open pages"})
		return
	}
	respond(w, http.StatusAccepted, pagerAnswer{Status: "success", Message: "Event processed", DedupKey: e.DedupKey})
}

// take applies a valid event; it returns false when there are too many pages.
func (p *pager) take(owner string, e event) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.open, func(g Page) bool { return g.Owner == owner && g.DedupKey == e.DedupKey })
	switch {
	case e.Action == "trigger" && i >= 0:
		p.again(&p.open[i], e)
	case e.Action == "trigger" && len(p.open) >= maxOpen:
		return false
	case e.Action == "trigger":
		p.open = append(p.open, Page{
			Owner: owner, DedupKey: e.DedupKey, Status: triggered, Summary: e.Payload.Summary, Severity: e.Payload.Severity,
			Source: e.Payload.Source, Details: e.Payload.Details, Times: 1, Since: p.now(),
		})
		p.tell("PAGE for " + owner + ": " + e.Payload.Summary)
	case i < 0: // dropped
	case e.Action == "acknowledge":
		p.open[i].Status = acknowledged
		p.tell("acknowledged for " + owner + ": " + p.open[i].Summary)
	default:
		p.end(i)
	}
	return true
}

// again updates an open page: more of the same is not told twice.
func (p *pager) again(g *Page, e event) {
	g.Times++
	if g.Summary != e.Payload.Summary {
		p.tell("page for " + g.Owner + " says now: " + e.Payload.Summary)
	}
	g.Summary, g.Severity, g.Details = e.Payload.Summary, e.Payload.Severity, e.Payload.Details
}

func (p *pager) end(i int) {
	over := p.open[i]
	p.open = slices.Delete(p.open, i, i+1)
	over.Status, over.EndedAt = resolved, p.now()
	p.ended = append(p.ended, over)
	if extra := len(p.ended) - maxEnded; extra > 0 {
		p.ended = slices.Delete(p.ended, 0, extra)
	}
	p.tell("resolved for " + over.Owner + ": " + over.Summary)
}
