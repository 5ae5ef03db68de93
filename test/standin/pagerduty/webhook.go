package pagerduty

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// mostAttempts ends the attempts of one webhook; the real one ends them after
// 48 hours.
const mostAttempts = 10_000

// refusalsToDisable is after how many webhooks in a row that were answered 4xx
// a subscription is disabled.
const refusalsToDisable = 3

// Subscription is one that posts what happens to incidents.
type Subscription struct {
	ID, URL, Secret string
	Events          []string // none: all
	Disabled        bool     // after three refusals in a row
	Refusals        int      // in a row
}

// Delivery is one attempt to post a webhook.
type Delivery struct {
	Webhook string // X-Webhook-Id, the same in each attempt
	Type    string
	Key     string // of its incident
	Status  int    // of the answer; 0: none came
}

// Subscribe posts to url what happens from now on, signed with secret.
func (s *Server) Subscribe(url, secret string, events ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribe(url, secret, events)
}

func (s *Server) subscribe(url, secret string, events []string) *Subscription {
	sub := &Subscription{ID: fmt.Sprintf("PWH%04d", len(s.subscriptions)+1), URL: url, Secret: secret, Events: events}
	s.subscriptions = append(s.subscriptions, sub)
	return sub
}

// Subscriptions returns all subscriptions as they are now.
func (s *Server) Subscriptions() []Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Subscription
	for _, sub := range s.subscriptions {
		out = append(out, *sub)
	}
	return out
}

// Deliveries returns all attempts so far.
func (s *Server) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.deliveries)
}

// Sign is the header X-PagerDuty-Signature of a body.
func Sign(body []byte, secrets ...string) string {
	var b bytes.Buffer
	for i, secret := range secrets {
		if i > 0 {
			b.WriteByte(',')
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		b.WriteString("v1=" + hex.EncodeToString(mac.Sum(nil)))
	}
	return b.String()
}

// post tells the subscriptions of an event. The lock is held.
func (s *Server) post(in *Incident, kind string, by Agent) {
	for _, sub := range s.subscriptions {
		if sub.Disabled || len(sub.Events) > 0 && !slices.Contains(sub.Events, kind) {
			continue
		}
		s.webhooks++
		id := fmt.Sprintf("webhook-%06d", s.webhooks)
		body, err := json.Marshal(map[string]any{"event": map[string]any{
			"id": fmt.Sprintf("01%024d", s.webhooks), "event_type": kind, "resource_type": "incident",
			"occurred_at": s.o.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
			"agent":       by.reference(), "client": nil, "data": in.webhook(kind),
		}})
		if err != nil {
			s.violations = append(s.violations, "our own webhook: "+err.Error())
			continue
		}
		d := Delivery{Webhook: id, Type: kind, Key: in.DedupKey}
		s.sending.Go(func() { s.send(sub, d, body) })
	}
}

// webhook is what a webhook carries. An annotation is about its note and only
// refers to the incident.
func (i *Incident) webhook(kind string) map[string]any {
	if kind == "incident.annotated" {
		n := i.Notes[len(i.Notes)-1]
		return map[string]any{
			"incident": reference(i.ID, "incident_reference", i.Title), "id": n.ID, "content": n.Text, "trimmed": false, "type": "incident_note",
		}
	}
	return map[string]any{
		"id": i.ID, "type": "incident", "status": i.Status, "incident_key": i.DedupKey, "title": i.Title, "urgency": i.Urgency,
		"created_at": stamp(i.At), "number": 1, "self": nil, "html_url": nil, "assignees": []any{}, "teams": []any{}, "priority": nil,
		"service":           reference(i.Service, "service_reference", ""),
		"escalation_policy": reference(i.EscalationPolicy, "escalation_policy_reference", ""),
		"conference_bridge": nil, "resolve_reason": nil,
	}
}

// send posts a webhook until it is taken, dropped or given up.
func (s *Server) send(sub *Subscription, d Delivery, body []byte) {
	pause := s.o.Retry
	if pause == 0 {
		pause = 50 * time.Millisecond
	}
	for range mostAttempts {
		d.Status = s.attempt(sub, d, body)
		s.mu.Lock()
		s.deliveries = append(s.deliveries, d)
		again := d.Status == 0 || d.Status >= 500 || d.Status == http.StatusTooManyRequests
		if d.Status/100 == 2 {
			sub.Refusals = 0
		} else if !again {
			sub.Refusals++
			sub.Disabled = sub.Refusals >= refusalsToDisable
		}
		s.mu.Unlock()
		if !again {
			return
		}
		select {
		case <-s.closed:
			return
		case <-time.After(pause):
		}
	}
}

func (s *Server) attempt(sub *Subscription, d Delivery, body []byte) int {
	within := s.o.Answer
	if within == 0 {
		within = 5 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	go func() {
		select {
		case <-s.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, sub.URL, bytes.NewReader(body))
	if err != nil {
		return http.StatusBadRequest
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "PagerDuty-Webhook/V3.0")
	req.Header.Set("X-Webhook-Id", d.Webhook)
	req.Header.Set("X-PagerDuty-Signature", Sign(body, sub.Secret))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

func (sub *Subscription) shown() map[string]any {
	return map[string]any{
		"id": sub.ID, "type": "webhook_subscription", "active": !sub.Disabled, "events": sub.Events,
		"filter":          map[string]any{"type": "account_reference"},
		"delivery_method": map[string]any{"type": "http_delivery_method", "url": sub.URL, "secret": nil, "temporarily_disabled": sub.Disabled},
	}
}

func (s *Server) listSubscriptions(*http.Request, []byte) (int, any) {
	list := []any{}
	for _, sub := range s.subscriptions {
		list = append(list, sub.shown())
	}
	return http.StatusOK, map[string]any{"webhook_subscriptions": list, "limit": 25, "offset": 0, "more": false, "total": nil}
}

// postSubscription tells the secret of a subscription once, when it is made.
func (s *Server) postSubscription(_ *http.Request, body []byte) (int, any) {
	var in struct {
		Subscription struct {
			Events []string
			Method struct{ URL string } `json:"delivery_method"`
		} `json:"webhook_subscription"`
	}
	if err := json.Unmarshal(body, &in); err != nil || in.Subscription.Method.URL == "" || len(in.Subscription.Events) == 0 {
		return invalid("events and delivery_method.url are needed")
	}
	sub := s.subscribe(in.Subscription.Method.URL, fmt.Sprintf("secret-%d", len(s.subscriptions)+1), in.Subscription.Events)
	shown := sub.shown()
	shown["delivery_method"].(map[string]any)["secret"] = sub.Secret
	return http.StatusOK, map[string]any{"webhook_subscription": shown}
}
