package rules

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
)

// maxText bounds what of a rule's text is told.
const maxText = 500

func bounded(text string) string { return httpclient.Plain(text, maxText) }

// word expands the annotations of an alert when it fires, and when they may say
// something else since: its value has changed, or they ask a query.
func (r *round) word(a *Alert) {
	if !a.known || !a.KeptSince.IsZero() || a.worded && a.shown == a.Value && len(r.written) == 0 {
		return
	}
	sample := signalbox.Sample{Labels: a.base, Value: a.Value}
	texts := map[string]string{}
	for _, n := range slices.Sorted(maps.Keys(r.settings.Rule.Annotations)) {
		texts[n] = strings.TrimSpace(r.expander.expand(r.settings.Rule.Annotations[n], sample))
	}
	a.summary, a.links = r.summary(a, texts), append(slices.Clone(r.common.Links), links(texts)...)
	a.worded, a.shown = true, a.Value
}

// summary is one line of the annotations that people write for it.
func (r *round) summary(a *Alert, texts map[string]string) string {
	var said []string
	for _, n := range []string{"summary", "description", "message"} {
		if texts[n] != "" && !slices.Contains(said, texts[n]) {
			said = append(said, texts[n])
		}
	}
	if len(said) == 0 {
		said = []string{r.subject(a) + " fires"}
	}
	return bounded(strings.Join(said, ": "))
}

// links are the annotations that are addresses: runbook_url, dashboard_url.
func links(texts map[string]string) []signalbox.Link {
	var out []signalbox.Link
	for _, n := range slices.Sorted(maps.Keys(texts)) {
		u, err := url.Parse(texts[n])
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || len(texts[n]) > 2048 {
			continue
		}
		out = append(out, signalbox.Link{Text: strings.NewReplacer("_url", "", "_", " ").Replace(n), Href: u.String()})
	}
	return out
}
