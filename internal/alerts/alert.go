package alerts

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	signalbox "github.com/signalbox/signalbox"
)

// Bounds of what one message may hold. They are far above what a fleet sends,
// and keep what one sender can make the daemon store and compare small.
const (
	mostAlerts    = 10_000
	mostLabels    = 128
	mostLabelName = 512
	mostLabel     = 8 << 10
	mostSummary   = 1024
	mostAhead     = 24 * time.Hour // a clock that is further ahead is broken
)

// Dialect is what the messages of one kind of sender differ in.
type Dialect struct {
	Sender    string // "Alertmanager", for people
	Version   string // of its webhook
	Generator string // what generatorURL shows, for people
	// Hashed: fingerprints are those of the labels that are shown, and others
	// are refused. Otherwise labels are hidden, and a fingerprint is believed.
	Hashed bool
}

// Alert is one alert as a webhook or API v2 tells it.
type Alert struct {
	Status       string // webhook: firing or resolved
	Labels       map[string]string
	Annotations  map[string]string
	StartsAt     time.Time
	EndsAt       time.Time
	UpdatedAt    time.Time // API v2: when its sender sent it last
	GeneratorURL string
	DashboardURL string // Grafana
	PanelURL     string // Grafana
	Fingerprint  string
	Receivers    []string // API v2
	Suppressed   string   // API v2: by what
}

// read reads one alert. Unknown keys are skipped: later versions add some.
func (a *Alert) read(r *reader) error {
	return r.object(func(name string) error {
		switch name {
		case "status":
			return a.readStatus(r)
		case "labels":
			return r.texts(&a.Labels)
		case "annotations":
			return r.texts(&a.Annotations)
		case "startsAt":
			return r.moment(&a.StartsAt)
		case "endsAt":
			return r.moment(&a.EndsAt)
		case "updatedAt":
			return r.moment(&a.UpdatedAt)
		case "generatorURL":
			return r.text(&a.GeneratorURL)
		case "dashboardURL":
			return r.text(&a.DashboardURL)
		case "panelURL":
			return r.text(&a.PanelURL)
		case "fingerprint":
			return r.text(&a.Fingerprint)
		case "receivers":
			return a.readReceivers(r)
		}
		return r.skip()
	})
}

// readStatus reads a word (webhook) or an object (API v2).
func (a *Alert) readStatus(r *reader) error {
	tok, err := r.next()
	if err != nil {
		return err
	}
	if tok.kind == '"' {
		a.Status = tok.text
		return nil
	}
	var silences, inhibitors, mutes []string
	err = r.objectFrom(tok, func(name string) error {
		switch name {
		case "silencedBy":
			return r.list(&silences)
		case "inhibitedBy":
			return r.list(&inhibitors)
		case "mutedBy":
			return r.list(&mutes)
		}
		return r.skip()
	})
	a.Suppressed = suppression(silences, inhibitors, mutes)
	return err
}

func suppression(silences, inhibitors, mutes []string) string {
	var by []string
	add := func(what string, names []string) {
		if len(names) > 0 {
			by = append(by, what+" "+strings.Join(names, ", "))
		}
	}
	add("silence", silences)
	add("inhibited by alert", inhibitors)
	add("muted by time interval", mutes)
	return plain(strings.Join(by, "; "), mostSummary)
}

func (a *Alert) readReceivers(r *reader) error {
	return r.array(func(int) error {
		return r.object(func(name string) error {
			if name != "name" {
				return r.skip()
			}
			var receiver string
			err := r.text(&receiver)
			a.Receivers = append(a.Receivers, receiver)
			return err
		})
	})
}

// moment reads a time as RFC 3339 has it.
func (r *reader) moment(into *time.Time) error {
	var s string
	if err := r.text(&s); err != nil {
		return err
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return fmt.Errorf("must be a time as RFC 3339 has it, got %s", quote(s))
	}
	*into = t.UTC()
	return nil
}

// Check refuses what the sender would not have sent. It completes the
// fingerprint, which old versions of Alertmanager left out.
func (a *Alert) Check(d Dialect, at time.Time) error {
	if err := a.checkLabels(); err != nil {
		return err
	}
	if err := a.checkFingerprint(d); err != nil {
		return err
	}
	switch {
	case a.StartsAt.Unix() <= 0:
		return fmt.Errorf("startsAt: must be a time after 1970, got %s", a.StartsAt.Format(time.RFC3339))
	case a.StartsAt.After(at.Add(mostAhead)):
		return fmt.Errorf("startsAt: must not be more than %s ahead of this clock, got %s", mostAhead, a.StartsAt.Format(time.RFC3339))
	}
	return nil
}

func (a *Alert) checkLabels() error {
	if len(a.Labels) == 0 {
		return errors.New("labels: must not be empty")
	}
	if len(a.Labels) > mostLabels {
		return fmt.Errorf("labels: must be at most %d, got %d", mostLabels, len(a.Labels))
	}
	for name, value := range a.Labels {
		if name == "" || len(name) > mostLabelName {
			return fmt.Errorf("labels: a name must have 1 to %d bytes, got %d", mostLabelName, len(name))
		}
		if len(value) > mostLabel {
			return fmt.Errorf("labels.%s: must have at most %d bytes, got %d", plain(name, 64), mostLabel, len(value))
		}
	}
	return nil
}

func (a *Alert) checkFingerprint(d Dialect) error {
	if !d.Hashed {
		if !isFingerprint(a.Fingerprint) {
			return fmt.Errorf("fingerprint: must be 16 hexadecimal digits in lower case, got %s", quote(a.Fingerprint))
		}
		return nil
	}
	computed := model.Fingerprint(model.LabelsToSignature(a.Labels)).String()
	if a.Fingerprint == "" {
		a.Fingerprint = computed
	}
	if a.Fingerprint != computed {
		return fmt.Errorf("fingerprint: must be %s, which its labels have, got %s", computed, quote(a.Fingerprint))
	}
	return nil
}

func isFingerprint(s string) bool {
	return len(s) == 16 && strings.Trim(s, "0123456789abcdef") == ""
}

// Delivered makes the Reading of an alert in a webhook, which Check accepted.
func (a *Alert) Delivered(d Dialect, origin string, at time.Time) (signalbox.Reading, error) {
	r := a.reading(d, origin, at)
	switch a.Status {
	case "firing":
		r.Condition, r.SampleAt = signalbox.Breached, at
	case "resolved":
		if a.EndsAt.Before(a.StartsAt) || a.EndsAt.After(at.Add(mostAhead)) {
			return r, fmt.Errorf("endsAt: must lie between startsAt and this clock when resolved, got %s", a.EndsAt.Format(time.RFC3339))
		}
		r.Condition, r.SampleAt, r.EndedAt = signalbox.Clear, a.EndsAt, a.EndsAt
	default:
		return r, fmt.Errorf("status: must be firing or resolved, got %s", quote(a.Status))
	}
	return r, nil
}

// Present makes the Reading of an alert that API v2 lists: it fires. Its
// sample is the last one that the server was sent.
func (a *Alert) Present(d Dialect, origin string, at time.Time) signalbox.Reading {
	r := a.reading(d, origin, at)
	r.Condition, r.Confirmed, r.Suppressed, r.SampleAt = signalbox.Breached, true, a.Suppressed, at
	if !a.UpdatedAt.IsZero() && a.UpdatedAt.Before(at) {
		r.SampleAt = a.UpdatedAt
	}
	return r
}

// reading is what both tell alike. API v2 cuts its times to milliseconds, and a
// webhook does not: an episode is known by what both can tell.
func (a *Alert) reading(d Dialect, origin string, at time.Time) signalbox.Reading {
	starts := a.StartsAt.Truncate(time.Millisecond)
	return signalbox.Reading{
		Series: a.Fingerprint, Episode: starts.Format(time.RFC3339Nano),
		Labels: a.Labels, Threshold: "firing", At: at, OnsetAt: starts, WellAt: starts,
		Origin: origin, Summary: a.summary(), Links: a.links(d),
	}
}

// Shown leaves out labels that the sender keeps to itself ("__name__"): its
// API shows them, and its webhook does not.
func (a *Alert) Shown() {
	shown := maps.Clone(a.Labels)
	maps.DeleteFunc(shown, func(name, _ string) bool {
		return strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__")
	})
	a.Labels = shown
}

// summary is the line that the rule's author wrote for people, or the name.
func (a *Alert) summary() string {
	for _, name := range []string{"summary", "message", "title", "description"} {
		if s := plain(a.Annotations[name], mostSummary); s != "" {
			return s
		}
	}
	return plain(a.Labels[model.AlertNameLabel], mostSummary)
}

func (a *Alert) links(d Dialect) []signalbox.Link {
	var links []signalbox.Link
	for _, l := range [...]signalbox.Link{
		{Text: "runbook", Href: a.Annotations["runbook_url"]},
		{Text: "dashboard", Href: a.Annotations["dashboard_url"]},
		{Text: "dashboard", Href: a.DashboardURL},
		{Text: "panel", Href: a.PanelURL},
		{Text: d.Generator, Href: a.GeneratorURL},
	} {
		if l.Href = webLink(l.Href); l.Href != "" {
			links = append(links, l)
		}
	}
	return links
}
