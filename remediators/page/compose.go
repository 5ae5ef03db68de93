package page

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sort"
	"time"
	"unicode/utf8"

	"github.com/PagerDuty/go-pagerduty"
	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/pagetext"
)

// PagerDuty's limits (Events API v2), and our own on single fields so that one
// long line can't push out all others.
const (
	mostSummary = 1024       // characters
	mostKey     = 255        // characters
	mostEvent   = 512 * 1000 // bytes; "512 KB", read strictly
	mostSource  = 255
	mostLine    = 4096
)

// compose makes the event. Only a trigger has a body: PagerDuty ignores it on
// others.
func compose(routingKey, key string, event signalbox.PageEvent, body signalbox.PageBody) (*pagerduty.V2Event, error) {
	if err := check(key, event); err != nil {
		return nil, err
	}
	e := &pagerduty.V2Event{RoutingKey: routingKey, Action: string(event), DedupKey: key}
	if event != signalbox.PageTrigger {
		return e, nil
	}
	e.Client = "signalbox"
	e.Payload = &pagerduty.V2Payload{
		Summary:   summary(body),
		Source:    cmp.Or(plain(body.Source, mostSource), "signalbox"),
		Severity:  severity(body.Severity),
		Component: "signalbox",
	}
	if !body.At.IsZero() {
		e.Payload.Timestamp = body.At.UTC().Format(time.RFC3339Nano)
	}
	return e, fill(e, body)
}

// check refuses what no way of paging takes.
func check(key string, event signalbox.PageEvent) error {
	if key == "" || utf8.RuneCountInString(key) > mostKey || plain(key, mostKey) != key {
		return fmt.Errorf("dedup key: must have 1 to %d printable characters, got %d", mostKey, utf8.RuneCountInString(key))
	}
	switch event {
	case signalbox.PageTrigger, signalbox.PageAcknowledge, signalbox.PageResolve:
		return nil
	}
	return fmt.Errorf("event: must be trigger, acknowledge or resolve, got %q", event)
}

// summary is never empty.
func summary(body signalbox.PageBody) string {
	return cmp.Or(plain(body.Summary, mostSummary), "signalbox pages without a summary")
}

// severity is one that PagerDuty knows. What is not is taken as critical: a
// page is never lowered by a mistake.
func severity(s string) string {
	if slices.Contains([]string{"critical", "error", "warning", "info"}, s) {
		return s
	}
	return "critical"
}

// part is a list in the event of which a tail can be left out.
type part struct {
	name   string
	n      int         // how many there are
	beyond int         // how many more there were, that can't fit
	keep   func(k int) // takes the first k
}

// fill puts the body's lists in, as much of them as fits. What matters least
// goes first: evidence from its end, labels, links, the oldest of what was
// done, the plan; what is thrown now and how to take it back goes last.
func fill(e *pagerduty.V2Event, body signalbox.PageBody) error {
	details := map[string]any{}
	e.Payload.Details = details
	links := pageLinks(body.Links)
	parts := []part{
		evidencePart(details, body.Evidence),
		labelPart(details, body.Labels),
		{name: "links", n: len(links), keep: func(k int) { e.Links = links[:k:k] }},
		donePart(details, body.Done),
		listPart(details, "also", lines(slices.Values(body.Also))),
		listPart(details, "plan", lines(slices.Values(body.Plan))),
		listPart(details, "thrown_now", thrown(body.Thrown)),
	}
	for _, p := range parts {
		p.keep(p.n)
	}
	if size(e) <= mostEvent {
		return nil
	}
	left := map[string]int{}
	details["left_out"] = left
	for _, p := range parts {
		left[p.name] = p.n + p.beyond // so that the note has its room
		k := sort.Search(p.n, func(dropped int) bool { p.keep(p.n - dropped); return size(e) <= mostEvent })
		p.keep(p.n - k)
		left[p.name] = k + p.beyond
		if k < p.n || size(e) <= mostEvent {
			return nil
		}
	}
	return fmt.Errorf("event: must have at most %d bytes, got %d", mostEvent, size(e))
}

func size(e *pagerduty.V2Event) int { return weight(e) }

// weight is how many bytes v has as JSON.
func weight(v any) int {
	b, err := json.Marshal(v)
	if err != nil {
		return mostEvent + 1
	}
	return len(b)
}

func listPart[T any](details map[string]any, name string, list []T) part {
	return part{name: name, n: len(list), keep: func(k int) { set(details, name, list[:k:k]) }}
}

func evidencePart(details map[string]any, in []string) part {
	list := lines(slices.Values(in))
	p := listPart(details, "evidence", list)
	p.beyond = len(in) - len(list)
	return p
}

// donePart keeps the newest of what was done.
func donePart(details map[string]any, in []string) part {
	newest := lines(func(yield func(string) bool) {
		for _, l := range slices.Backward(in) {
			if !yield(l) {
				return
			}
		}
	})
	return part{name: "done", n: len(newest), beyond: len(in) - len(newest), keep: func(k int) {
		list := slices.Clone(newest[:k])
		slices.Reverse(list)
		set(details, "done", list)
	}}
}

func labelPart(details map[string]any, labels map[string]string) part {
	names := slices.Sorted(maps.Keys(labels))
	return part{name: "labels", n: len(names), keep: func(k int) {
		kept := make(map[string]string, k)
		for _, name := range names[:k] {
			kept[plain(name, mostSource)] = plain(labels[name], mostLine)
		}
		if delete(details, "labels"); k > 0 {
			details["labels"] = kept
		}
	}}
}

func set[T any](details map[string]any, name string, list []T) {
	if delete(details, name); len(list) > 0 {
		details[name] = list
	}
}

// lines cleans lines, and ends once they are twice as long as an event: what
// is beyond never fits, and need not be weighed.
func lines(in iter.Seq[string]) []string {
	var out []string
	total := 0
	for l := range in {
		if total > 2*mostEvent {
			break
		}
		l = plain(l, mostLine)
		out, total = append(out, l), total+weight(l)
	}
	return out
}

// thrownNow tells a person what stands, and the command that takes it back.
type thrownNow struct {
	What   string `json:"what"`
	ByHand string `json:"take_back_by_hand,omitempty"`
}

func thrown(in []signalbox.Thrown) []thrownNow {
	out := make([]thrownNow, 0, len(in))
	for _, t := range in {
		out = append(out, thrownNow{What: plain(t.What, mostLine), ByHand: plain(t.ByHand, mostLine)})
	}
	return out
}

type link struct {
	Href string `json:"href"`
	Text string `json:"text,omitempty"`
}

// pageLinks are the links that a person can follow from a page.
func pageLinks(in []signalbox.Link) []any {
	out := make([]any, 0, len(in))
	for _, l := range pagetext.Links(in) {
		out = append(out, link{Href: l.Href, Text: l.Text})
	}
	return out
}

func plain(s string, most int) string { return pagetext.Plain(s, most) }
