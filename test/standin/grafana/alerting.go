package grafana

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
)

// AlertingOptions say how the stand-in for Grafana's alerting posts and answers.
type AlertingOptions struct {
	Spec  string           // path of Alertmanager's description of API v2; "": only the checks of our own
	Token string           // that requests must have
	Now   func() time.Time // nil: time.Now

	Receiver        string // the contact point's name
	URL             string // that it posts to
	Authorization   string // header of its posts
	Secret          string // of its signature; "": it does not sign
	TimestampHeader string // "": the time is not signed
	MaxAlerts       int    // of one message; 0: all
}

// Alerting is a stand-in for Grafana-managed alerts: what its contact point
// posts (version 1, signed), and its own Alertmanager's list of what fires. It
// keeps the meaning of the real one: labels of its own are in the list and not
// in messages, a fingerprint is that of all labels, alerts live in memory, and
// a message that is not taken is not sent again. It is an http.Handler, and
// safe for concurrent use.
type Alerting struct {
	o    AlertingOptions
	spec *alertsContract // nil: none

	mu         sync.Mutex
	alerts     []*Alert
	faults     []Fault
	violations []string
}

// Alert is one alert of a rule.
type Alert struct {
	Rule        string // uid
	Labels      map[string]string
	Annotations map[string]string
	StartsAt    time.Time
	EndsAt      time.Time // zero: it fires
	UpdatedAt   time.Time // zero: it is sent again all the time
	SilencedBy  []string
	Receiver    string // "": the contact point of the options
}

// NewAlerting returns a stand-in without alerts.
func NewAlerting(o AlertingOptions) (*Alerting, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	a := &Alerting{o: o}
	if o.Spec == "" {
		return a, nil
	}
	c, err := readAlertsContract(o.Spec)
	if err != nil {
		return nil, fmt.Errorf("contract %s: %w", o.Spec, err)
	}
	a.spec = c
	return a, nil
}

// Set replaces the alerts by copies; none is what a restart leaves.
func (a *Alerting) Set(list ...*Alert) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.alerts = make([]*Alert, len(list))
	for i, l := range list {
		is := *l
		a.alerts[i] = &is
	}
}

// Fail scripts faults of the list, one a request.
func (a *Alerting) Fail(faults ...Fault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = append(a.faults, faults...)
}

// Violations returns what requests, or our own answers, broke.
func (a *Alerting) Violations() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.violations)
}

// all are the labels with those that Grafana keeps to itself.
func (l *Alert) all(fingerprint bool) (map[string]string, string) {
	labels := maps.Clone(l.Labels)
	labels["__alert_rule_uid__"] = l.Rule
	if !fingerprint {
		return labels, ""
	}
	return labels, model.Fingerprint(model.LabelsToSignature(labels)).String()
}

// Fingerprint is the alert's, as Grafana tells it.
func (l *Alert) Fingerprint() string {
	_, fingerprint := l.all(true)
	return fingerprint
}

// Message is the body of the message that the contact point posts of alerts.
func (a *Alerting) Message(list ...*Alert) []byte {
	status, wire := "resolved", []any{}
	for _, l := range list {
		state := "resolved"
		if l.EndsAt.IsZero() {
			status, state = "firing", "firing"
		}
		if a.o.MaxAlerts > 0 && len(wire) >= a.o.MaxAlerts {
			continue
		}
		wire = append(wire, map[string]any{
			"status": state, "labels": l.Labels, "annotations": orEmpty(l.Annotations), "startsAt": l.StartsAt, "endsAt": l.EndsAt,
			"generatorURL": "https://grafana.example/alerting/grafana/" + l.Rule + "/view?orgId=1", "fingerprint": l.Fingerprint(),
			"silenceURL":   "https://grafana.example/alerting/silence/new",
			"dashboardURL": "https://grafana.example/d/db-prod?orgId=1", "panelURL": "https://grafana.example/d/db-prod?orgId=1&viewPanel=2",
			"values": map[string]float64{"B": 22}, "valueString": "[ var='B' value=22 ]", "orgId": 1,
		})
	}
	body, err := json.Marshal(map[string]any{
		"receiver": regexp.QuoteMeta(a.o.Receiver), "status": status, "alerts": wire, "groupLabels": map[string]string{},
		"commonLabels": map[string]string{}, "commonAnnotations": map[string]string{}, "externalURL": "https://grafana.example/",
		"appVersion": "12.4.2", "version": "1", "groupKey": "{}:{}", "truncatedAlerts": len(list) - len(wire), "orgId": 1,
		"title": "[FIRING]", "state": "alerting", "message": "**Firing**",
	})
	if err != nil {
		panic(err) // texts, numbers and times
	}
	return body
}

// Sign is the header of a message that is posted at a moment.
func (a *Alerting) Sign(body []byte, at time.Time) http.Header {
	h := http.Header{"Content-Type": {"application/json"}}
	if a.o.Authorization != "" {
		h.Set("Authorization", a.o.Authorization)
	}
	if a.o.Secret == "" {
		return h
	}
	mac := hmac.New(sha256.New, []byte(a.o.Secret))
	if a.o.TimestampHeader != "" {
		stamp := strconv.FormatInt(at.Unix(), 10)
		h.Set(a.o.TimestampHeader, stamp)
		mac.Write([]byte(stamp + ":"))
	}
	mac.Write(body)
	h.Set("X-Grafana-Alerting-Signature", hex.EncodeToString(mac.Sum(nil)))
	return h
}

// Post posts a message of alerts, and returns the answer's status.
func (a *Alerting) Post(ctx context.Context, list ...*Alert) (int, error) {
	body := a.Message(list...)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.o.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header = a.Sign(body, a.o.Now())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// ServeHTTP answers the list of what fires.
func (a *Alerting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.holds(r)
	w.Header().Set("Content-Type", "application/json")
	if len(a.faults) > 0 {
		f := a.faults[0]
		a.faults = a.faults[1:]
		for name, value := range f.Header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, f.Body)
		return
	}
	if a.o.Token != "" && r.Header.Get("Authorization") != "Bearer "+a.o.Token {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"message":"Invalid API key"}`)
		return
	}
	body := a.list(r.URL.Query())
	if a.spec != nil {
		if err := a.spec.response(r, body); err != nil {
			a.violations = append(a.violations, "our answer: "+err.Error())
		}
	}
	_, _ = w.Write(body)
}

func (a *Alerting) holds(r *http.Request) {
	rule := func(ok bool, text string) {
		if !ok {
			a.violations = append(a.violations, r.Method+" "+r.URL.String()+": "+text)
		}
	}
	rule(r.URL.Path == alertsPath, "there is no such path")
	rule(r.UserAgent() != "", "User-Agent is required")
	rule(!r.URL.Query().Has("unprocessed"), "Grafana has no parameter unprocessed")
	if a.spec != nil {
		if err := a.spec.request(r); err != nil {
			rule(false, err.Error())
		}
	}
}

// list is what fires, as the query asks.
func (a *Alerting) list(q map[string][]string) []byte {
	now, wire := a.o.Now(), []any{}
	for _, l := range a.alerts {
		receiver := l.Receiver
		if receiver == "" {
			receiver = a.o.Receiver
		}
		silenced := len(l.SilencedBy) > 0
		switch {
		case !l.EndsAt.IsZero(), silenced && !slices.Contains(q["silenced"], "true"):
			continue
		case len(q["receiver"]) == 1 && !fits(q["receiver"][0], receiver):
			continue
		}
		labels, fingerprint := l.all(true)
		updated, state := l.UpdatedAt, "active"
		if updated.IsZero() {
			updated = now
		}
		if silenced {
			state = "suppressed"
		}
		annotations := orEmpty(l.Annotations)
		annotations["__value_string__"] = "[ var='B' value=22 ]"
		wire = append(wire, map[string]any{
			"labels": labels, "annotations": annotations, "startsAt": cut(l.StartsAt), "endsAt": cut(now.Add(4 * time.Minute)), "updatedAt": cut(updated),
			"generatorURL": "https://grafana.example/alerting/grafana/" + l.Rule + "/view?orgId=1", "fingerprint": fingerprint,
			"receivers": []any{map[string]any{"name": receiver}},
			"status":    map[string]any{"state": state, "silencedBy": orNone(l.SilencedBy), "inhibitedBy": []string{}, "mutedBy": []string{}},
		})
	}
	body, err := json.Marshal(wire)
	if err != nil {
		panic(err) // texts and times
	}
	return body
}

// cut is a time as API v2 writes it.
func cut(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func fits(pattern, name string) bool {
	re, err := regexp.Compile("^(?:" + strings.TrimSpace(pattern) + ")$")
	return err == nil && re.MatchString(name)
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return maps.Clone(m)
}

func orNone(l []string) []string { return append([]string{}, l...) }
