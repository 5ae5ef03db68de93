package pagerduty

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"
)

// Payload is the body of a trigger.
type Payload struct {
	Summary   string         `json:"summary"`
	Source    string         `json:"source"`
	Severity  string         `json:"severity"`
	Timestamp string         `json:"timestamp"`
	Component string         `json:"component"`
	Group     string         `json:"group"`
	Class     string         `json:"class"`
	Details   map[string]any `json:"custom_details"`
}

// Link is a link of an event.
type Link struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

// Image is an image of an event.
type Image struct {
	Src  string `json:"src"`
	Href string `json:"href"`
	Alt  string `json:"alt"`
}

type wire struct {
	RoutingKey string   `json:"routing_key"`
	Action     string   `json:"event_action"`
	DedupKey   string   `json:"dedup_key"`
	Client     string   `json:"client"`
	ClientURL  string   `json:"client_url"`
	Payload    *Payload `json:"payload"`
	Links      []Link   `json:"links"`
	Images     []Image  `json:"images"`
}

var routingKey = regexp.MustCompile(`^[A-Za-z0-9]{32}$`)

// parse reads a request and says all that is wrong with it.
func parse(r *http.Request, body []byte) (Event, []string) {
	var wrong []string
	rule := func(ok bool, text string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(text, args...))
		}
	}
	rule(r.Method == http.MethodPost, "method must be POST, got %s", r.Method)
	t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	rule(t == "application/json", "Content-Type must be application/json, got %q", r.Header.Get("Content-Type"))
	rule(len(body) <= mostBody, "body must have at most 512 KB")
	var in wire
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		rule(false, "body must be an event: %v", err)
		return Event{}, wrong
	}
	rule(routingKey.MatchString(in.RoutingKey), "routing_key must have 32 letters and digits")
	rule(slices.Contains([]string{"trigger", "acknowledge", "resolve"}, in.Action), "event_action must be trigger, acknowledge or resolve, got %q", in.Action)
	rule(in.Action == "trigger" || in.DedupKey != "", "dedup_key is required to %s", in.Action)
	rule(utf8.RuneCountInString(in.DedupKey) <= 255, "dedup_key must have at most 255 characters")
	e := Event{RoutingKey: in.RoutingKey, Action: in.Action, DedupKey: in.DedupKey, Links: in.Links, Raw: bytes.Clone(body)}
	switch {
	case in.Payload != nil:
		e.Payload = *in.Payload
		checkPayload(in.Payload, rule)
	case in.Action == "trigger":
		rule(false, "payload is required to trigger")
	}
	checkLinks(in, rule)
	return e, wrong
}

func checkPayload(p *Payload, rule func(bool, string, ...any)) {
	n := utf8.RuneCountInString(p.Summary)
	rule(n >= 1 && n <= 1024, "payload.summary must have 1 to 1024 characters, got %d", n)
	rule(p.Source != "", "payload.source is required")
	rule(slices.Contains([]string{"critical", "error", "warning", "info"}, p.Severity), "payload.severity must be critical, error, warning or info, got %q", p.Severity)
	if p.Timestamp != "" {
		_, err := time.Parse(time.RFC3339Nano, p.Timestamp)
		rule(err == nil, "payload.timestamp must be a time as ISO 8601 has it, got %q", p.Timestamp)
	}
}

func checkLinks(in wire, rule func(bool, string, ...any)) {
	absolute := func(s string) bool {
		u, err := url.Parse(s)
		return err == nil && u.IsAbs() && u.Host != ""
	}
	for i, l := range in.Links {
		rule(absolute(l.Href), "links[%d].href must be a URL, got %q", i, l.Href)
	}
	for i, m := range in.Images {
		u, err := url.Parse(m.Src)
		rule(err == nil && u.Scheme == "https", "images[%d].src must be an https URL, got %q", i, m.Src)
	}
}
