// Package evidence gathers what an on-call engineer looks at first in an
// incident: lines of logs reduced to listed fields, what other detectors read,
// deploys, events, and links to where the rest is. It is for people, on the
// incident and on its page; nothing is decided by it.
//
//	Entry    one entry of the configuration's `evidence`
//	Apply    which of them are for an incident
//	Gather   asks their sources, all at once, each within the same deadline
//
// What leaves the building is listed: the names of fields in an entry, and the
// templates of its links. Values are foreign text: they are put on one line, cut,
// and escaped in links; they are never a part of a query's text.
package evidence

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/telling"
)

// Bounds of what is kept of one incident, so that it stays a small record.
const (
	mostText     = 400 // characters of a line
	mostHref     = 2000
	mostFindings = 40
	mostBytes    = 16 << 10
)

// Entry is one thing that is looked for. It is read-only.
type Entry struct {
	Name      string
	Detectors []string          // only incidents of these; empty: of all
	Owners    []string          // only incidents of these; empty: of all
	Match     map[string]string // labels that the incident must have
	Same      map[string]string // the source's field by the incident's label that it must equal
	Since     time.Duration     // how far back from the incident's onset
	Most      int
	Look      kind.Look // nil: no source is asked
	Readings  []string  // detectors whose present readings are told
	Links     []Link
}

// Link is a link of an entry, its address a template.
type Link struct {
	Text string
	URL  telling.Template
}

// Apply returns the entries that are for an incident, in their order.
func Apply(all []Entry, inc *signalbox.Incident) []Entry {
	var list []Entry
	for i := range all {
		if e := &all[i]; e.applies(inc) {
			list = append(list, *e)
		}
	}
	return list
}

func (e *Entry) applies(inc *signalbox.Incident) bool {
	if len(e.Detectors) > 0 && !slices.Contains(e.Detectors, inc.Reading.Detector) ||
		len(e.Owners) > 0 && !slices.Contains(e.Owners, inc.Owner) {
		return false
	}
	for name, want := range e.Match {
		if got, ok := inc.Reading.Labels[name]; !ok || got != want {
			return false
		}
	}
	return true
}

// Gather looks around an incident at some moment. readings gives the present
// readings of a detector. It returns within ctx's deadline: what was not
// answered by then is told to be so, since silence is no evidence. The findings
// stand in the order of the entries.
func Gather(ctx context.Context, entries []Entry, inc *signalbox.Incident, at time.Time, readings map[string][]signalbox.Reading) []signalbox.Finding {
	found := make([][]signalbox.Finding, len(entries))
	var looking sync.WaitGroup
	for i := range entries {
		looking.Go(func() { found[i] = entries[i].gather(ctx, inc, at, readings) })
	}
	looking.Wait()
	return bounded(slices.Concat(found...))
}

func (e *Entry) gather(ctx context.Context, inc *signalbox.Incident, at time.Time, readings map[string][]signalbox.Reading) []signalbox.Finding {
	list, why := e.find(ctx, inc, at, readings)
	for i := range list {
		list[i].Name = e.Name
	}
	if why != "" {
		list = []signalbox.Finding{{Name: e.Name, Text: why}}
	}
	return append(list, e.links(inc)...)
}

// find asks for what the entry looks for; why is told in place of findings.
func (e *Entry) find(ctx context.Context, inc *signalbox.Incident, at time.Time, readings map[string][]signalbox.Reading) (list []signalbox.Finding, why string) {
	if e.Look == nil && len(e.Readings) == 0 {
		return nil, ""
	}
	same := map[string]string{}
	for field, label := range e.Same {
		value := inc.Reading.Labels[label]
		if value == "" {
			return nil, "not looked for: the incident has no label " + label
		}
		same[field] = value
	}
	if e.Look == nil {
		if list = e.read(readings, same); len(list) == 0 {
			return nil, "no reading"
		}
		return list, ""
	}
	list, err := e.Look.Look(ctx, kind.Around{Same: same, From: e.from(inc, at), To: at, Most: e.Most})
	switch {
	case err != nil:
		return nil, "can't be read: " + telling.Clean(httpclient.Explain(err).Error(), mostText/2)
	case len(list) == 0:
		return nil, "nothing since " + e.from(inc, at).UTC().Format("15:04:05Z")
	}
	return list[:min(len(list), e.Most)], ""
}

// from is Since before the incident began, as far as that is known.
func (e *Entry) from(inc *signalbox.Incident, at time.Time) time.Time {
	began := inc.OnsetAt
	if began.IsZero() || began.After(at) {
		began = at
	}
	if most := at.Add(-farthest); began.Before(most) {
		began = most
	}
	return began.Add(-e.Since)
}

// farthest bounds how long ago an onset may be that is looked back to: an alert
// may say any.
const farthest = 24 * time.Hour

// read tells what other detectors read: those that are ill first.
func (e *Entry) read(readings map[string][]signalbox.Reading, same map[string]string) []signalbox.Finding {
	var list []signalbox.Reading
	for _, name := range e.Readings {
		for _, r := range readings[name] {
			if r.Series != "" && agrees(r.Labels, same) {
				list = append(list, r)
			}
		}
	}
	rank := map[signalbox.Condition]int{signalbox.Breached: 0, signalbox.Unknown: 1, signalbox.Clear: 2}
	slices.SortStableFunc(list, func(a, b signalbox.Reading) int {
		if d := rank[a.Condition] - rank[b.Condition]; d != 0 {
			return d
		}
		return strings.Compare(a.Detector+"\x00"+a.Subject+"\x00"+a.Series, b.Detector+"\x00"+b.Subject+"\x00"+b.Series)
	})
	out := make([]signalbox.Finding, 0, e.Most)
	for i := range list[:min(len(list), e.Most)] {
		out = append(out, reading(&list[i]))
	}
	return out
}

func agrees(labels, same map[string]string) bool {
	for name, want := range same {
		if labels[name] != want {
			return false
		}
	}
	return true
}

// reading tells one reading: its value, what is expected of it, and its panel.
func reading(r *signalbox.Reading) signalbox.Finding {
	text := r.Subject + " (" + r.Detector + ")"
	if r.HasValue {
		text += " " + kind.Format(float64(r.Value), r.Unit)
	}
	text += ", " + r.Condition.String()
	switch {
	case r.Condition == signalbox.Unknown && r.Reason != "":
		text += ": " + r.Reason
	case r.Threshold != "":
		text += ", threshold " + r.Threshold
	}
	f := signalbox.Finding{At: r.SampleAt, Text: text}
	if len(r.Links) > 0 {
		f.Link = &r.Links[0]
	}
	return f
}

// links are the links of the entry that can be filled in.
func (e *Entry) links(inc *signalbox.Incident) (list []signalbox.Finding) {
	about := About(inc)
	for _, l := range e.Links {
		if href, err := l.URL.Expand(about, url.QueryEscape); err == nil {
			list = append(list, signalbox.Finding{Name: e.Name, Link: &signalbox.Link{Text: l.Text, Href: href}})
		}
	}
	return list
}

// About is what templates may name of an incident.
func About(inc *signalbox.Incident) *signalbox.About {
	return &signalbox.About{
		Incident: inc.ID, Subject: inc.Reading.Subject, Detector: inc.Reading.Detector, Owner: inc.Owner,
		Labels: inc.Reading.Labels, OpenedAt: inc.OpenedAt,
	}
}

// bounded keeps what is found small, and says what was left out.
func bounded(all []signalbox.Finding) []signalbox.Finding {
	size := 0
	for i := range all {
		f := &all[i]
		f.Text = telling.Clean(f.Text, mostText)
		if f.Link != nil {
			if len(f.Link.Href) > mostHref {
				f.Link = nil
			} else {
				size += len(f.Link.Text) + len(f.Link.Href)
			}
		}
		size += len(f.Name) + len(f.Text) + 64
		if i >= mostFindings || size > mostBytes {
			return append(all[:i:i], signalbox.Finding{Name: "evidence", Text: fmt.Sprintf("%d more are left out", len(all)-i)})
		}
	}
	return all
}

// Fields writes the listed fields of something, in their order: name=value, the
// value in quotes where it is not one word. What is absent or empty is left out.
func Fields(names []string, values map[string]string) string {
	var b strings.Builder
	for _, name := range names {
		v := telling.Clean(values[name], mostText/2)
		if v == "" {
			continue
		}
		if strings.ContainsAny(v, " \"=") {
			v = fmt.Sprintf("%q", v)
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(name + "=" + v)
	}
	return b.String()
}

// Together makes one of findings that say the same, the newest of them, with how
// many there are, and returns at most most of them, the newest first.
func Together(all []signalbox.Finding, most int) []signalbox.Finding {
	count, newest := map[string]int{}, map[string]signalbox.Finding{}
	for _, f := range all {
		if old, ok := newest[f.Text]; !ok || f.At.After(old.At) {
			newest[f.Text] = f
		}
		count[f.Text]++
	}
	list := slices.SortedFunc(maps.Values(newest), func(a, b signalbox.Finding) int {
		if d := b.At.Compare(a.At); d != 0 {
			return d
		}
		return strings.Compare(a.Text, b.Text)
	})
	list = list[:min(len(list), most)]
	for i := range list {
		if n := count[list[i].Text]; n > 1 {
			list[i].Text += fmt.Sprintf(" (%d times)", n)
		}
	}
	return list
}
