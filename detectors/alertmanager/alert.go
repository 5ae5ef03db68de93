package alertmanager

import (
	"errors"
	"fmt"
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

// alert is one alert as a webhook or API v2 tells it.
type alert struct {
	status       string // webhook: firing or resolved
	labels       map[string]string
	annotations  map[string]string
	startsAt     time.Time
	endsAt       time.Time
	updatedAt    time.Time // API v2: when its sender sent it last
	generatorURL string
	fingerprint  string
	receivers    []string // API v2
	suppressed   string   // API v2: by what
}

// read reads one alert. Unknown keys are skipped: later versions add some.
func (a *alert) read(r *reader) error {
	return r.object(func(name string) error {
		switch name {
		case "status":
			return a.readStatus(r)
		case "labels":
			return r.texts(&a.labels)
		case "annotations":
			return r.texts(&a.annotations)
		case "startsAt":
			return r.moment(&a.startsAt)
		case "endsAt":
			return r.moment(&a.endsAt)
		case "updatedAt":
			return r.moment(&a.updatedAt)
		case "generatorURL":
			return r.text(&a.generatorURL)
		case "fingerprint":
			return r.text(&a.fingerprint)
		case "receivers":
			return a.readReceivers(r)
		}
		return r.skip()
	})
}

// readStatus reads a word (webhook) or an object (API v2).
func (a *alert) readStatus(r *reader) error {
	tok, err := r.next()
	if err != nil {
		return err
	}
	if tok.kind == '"' {
		a.status = tok.text
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
	a.suppressed = suppression(silences, inhibitors, mutes)
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

func (a *alert) readReceivers(r *reader) error {
	return r.array(func(int) error {
		return r.object(func(name string) error {
			if name != "name" {
				return r.skip()
			}
			var receiver string
			err := r.text(&receiver)
			a.receivers = append(a.receivers, receiver)
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

// check refuses what Alertmanager would not have sent.
func (a *alert) check(at time.Time) error {
	if err := a.checkLabels(); err != nil {
		return err
	}
	switch {
	case a.startsAt.Unix() <= 0:
		return fmt.Errorf("startsAt: must be a time after 1970, got %s", a.startsAt.Format(time.RFC3339))
	case a.startsAt.After(at.Add(mostAhead)):
		return fmt.Errorf("startsAt: must not be more than %s ahead of this clock, got %s", mostAhead, a.startsAt.Format(time.RFC3339))
	}
	return nil
}

// checkLabels also completes the fingerprint, which old versions left out, or
// refuses one that the labels do not have.
func (a *alert) checkLabels() error {
	if len(a.labels) == 0 {
		return errors.New("labels: must not be empty")
	}
	if len(a.labels) > mostLabels {
		return fmt.Errorf("labels: must be at most %d, got %d", mostLabels, len(a.labels))
	}
	for name, value := range a.labels {
		if name == "" || len(name) > mostLabelName {
			return fmt.Errorf("labels: a name must have 1 to %d bytes, got %d", mostLabelName, len(name))
		}
		if len(value) > mostLabel {
			return fmt.Errorf("labels.%s: must have at most %d bytes, got %d", plain(name, 64), mostLabel, len(value))
		}
	}
	computed := model.Fingerprint(model.LabelsToSignature(a.labels)).String()
	if a.fingerprint == "" {
		a.fingerprint = computed
	}
	if a.fingerprint != computed {
		return fmt.Errorf("fingerprint: must be %s, which its labels have, got %s", computed, quote(a.fingerprint))
	}
	return nil
}

// delivered makes the Reading of an alert in a webhook.
func (a *alert) delivered(origin string, at time.Time) (signalbox.Reading, error) {
	r := a.reading(origin, at)
	switch a.status {
	case "firing":
		r.Condition, r.SampleAt = signalbox.Breached, at
	case "resolved":
		if a.endsAt.Before(a.startsAt) || a.endsAt.After(at.Add(mostAhead)) {
			return r, fmt.Errorf("endsAt: must lie between startsAt and this clock when resolved, got %s", a.endsAt.Format(time.RFC3339))
		}
		r.Condition, r.SampleAt, r.EndedAt = signalbox.Clear, a.endsAt, a.endsAt
	default:
		return r, fmt.Errorf("status: must be firing or resolved, got %s", quote(a.status))
	}
	return r, nil
}

// present makes the Reading of an alert that API v2 lists: it fires. Its
// sample is the last one that Alertmanager was sent.
func (a *alert) present(origin string, at time.Time) signalbox.Reading {
	r := a.reading(origin, at)
	r.Condition, r.Confirmed, r.Suppressed, r.SampleAt = signalbox.Breached, true, a.suppressed, at
	if !a.updatedAt.IsZero() && a.updatedAt.Before(at) {
		r.SampleAt = a.updatedAt
	}
	return r
}

// reading is what both tell alike. API v2 cuts its times to milliseconds, and a
// webhook does not: an episode is known by what both can tell.
func (a *alert) reading(origin string, at time.Time) signalbox.Reading {
	starts := a.startsAt.Truncate(time.Millisecond)
	return signalbox.Reading{
		Series: a.fingerprint, Episode: starts.Format(time.RFC3339Nano),
		Labels: a.labels, Threshold: "firing", At: at, OnsetAt: starts, WellAt: starts,
		Origin: origin, Summary: a.summary(), Links: a.links(),
	}
}

// summary is the line that the rule's author wrote for people, or the name.
func (a *alert) summary() string {
	for _, name := range []string{"summary", "message", "title", "description"} {
		if s := plain(a.annotations[name], mostSummary); s != "" {
			return s
		}
	}
	return plain(a.labels[model.AlertNameLabel], mostSummary)
}

func (a *alert) links() []signalbox.Link {
	var links []signalbox.Link
	for _, l := range [...]signalbox.Link{
		{Text: "runbook", Href: a.annotations["runbook_url"]},
		{Text: "dashboard", Href: a.annotations["dashboard_url"]},
		{Text: "expression", Href: a.generatorURL},
	} {
		if l.Href = webLink(l.Href); l.Href != "" {
			links = append(links, l)
		}
	}
	return links
}
