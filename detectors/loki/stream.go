package loki

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// maxBytes bounds what is held of one answer: its lines, together.
const maxBytes = 64 << 20

// lines reads a stream from q.From, not earlier than its reach, up to at. When
// there are more lines than the question takes, the first of them are the
// answer, and a warning says so. Lines are sorted by their time, and each is
// there once.
func (s *Source) lines(ctx context.Context, q signalbox.Question, at time.Time) ([]signalbox.Sample, []string, error) {
	asked, err := parseQuestion(q.Query)
	if err != nil {
		return nil, nil, err
	}
	start, end := asked.span(q.From, at)
	r := reader{source: s, question: asked, start: start.UnixNano(), end: end.UnixNano()}
	for more := true; more; {
		if more, err = r.next(ctx); err != nil {
			return nil, nil, err
		}
	}
	return r.samples, r.warnings, nil
}

// reader reads the pages of one range. Each page begins at the time of the last
// line of the one before, since more lines may have the same time; those that
// were there already are passed over.
type reader struct {
	source     *Source
	question   question
	start, end int64 // nanoseconds; end is not included, as Loki has it
	samples    []signalbox.Sample
	bytes      int
	warnings   []string
	seen       map[string]bool // stream and line of those whose time is start
}

// entry is one line, as it came.
type entry struct {
	at     int64 // nanoseconds
	stream string
	labels map[string]string
	line   string
}

// next reads one page, and reports whether there are more.
func (r *reader) next(ctx context.Context) (more bool, err error) {
	limit := r.source.page
	d, warnings, err := r.source.get(ctx, rangePath, url.Values{
		"query": {r.question.query}, "start": {strconv.FormatInt(r.start, 10)}, "end": {strconv.FormatInt(r.end, 10)},
		"limit": {strconv.Itoa(limit)}, "direction": {"forward"},
	})
	if err != nil {
		return false, err
	}
	page, err := d.entries()
	if err != nil {
		return false, err
	}
	r.warnings = append(r.warnings, warnings...)
	for _, e := range page {
		if e.at < r.start || e.at >= r.end {
			return false, fmt.Errorf("the answer holds a line of %s, which was not asked about: is there a cache between?", time.Unix(0, e.at).UTC().Format(time.RFC3339Nano))
		}
	}
	began := r.start
	if !r.take(page) {
		return false, nil
	}
	switch {
	case len(page) < limit:
		return false, nil
	case r.start == began && page[len(page)-1].at == began:
		return false, fmt.Errorf("%d lines or more have the same time, %s, and a page has no more: what follows can't be read; make the source's page_size greater, or narrow the query", len(page), time.Unix(0, began).UTC().Format(time.RFC3339Nano))
	}
	return true, nil
}

// take adds the lines of a page that are new, and reports whether more may
// follow.
func (r *reader) take(page []entry) bool {
	for _, e := range page {
		if e.at != r.start || r.seen == nil {
			r.start, r.seen = e.at, map[string]bool{}
		}
		key := e.stream + "\x00" + e.line
		if r.seen[key] {
			continue
		}
		if len(r.samples) >= r.question.lines || r.bytes+len(e.line) > maxBytes {
			r.warnings = append(r.warnings, fmt.Sprintf("there are more lines from %s on than are read at once, %d: narrow the query, or make logs.max_lines greater",
				time.Unix(0, e.at).UTC().Format(time.RFC3339), len(r.samples)))
			return false
		}
		r.seen[key] = true
		r.bytes += len(e.line)
		r.samples = append(r.samples, signalbox.Sample{Labels: e.labels, At: time.Unix(0, e.at).UTC(), Text: e.line})
	}
	return true
}

// entries reads the answer to a range query for lines, in the order of their
// time.
func (d *data) entries() ([]entry, error) {
	if d.Type != "streams" {
		if d.Type == "matrix" {
			return nil, fmt.Errorf("the query gives values, and one that selects lines was expected")
		}
		return nil, errShape
	}
	var streams []struct {
		Stream map[string]string   `json:"stream"`
		Values [][]json.RawMessage `json:"values"` // time, line, and in newer answers what belongs to them
	}
	if err := json.Unmarshal(d.Result, &streams); err != nil || streams == nil {
		return nil, errShape
	}
	var all []entry
	for _, s := range streams {
		id := streamID(s.Stream)
		for _, v := range s.Values {
			e := entry{stream: id, labels: s.Stream}
			var at string
			if len(v) < 2 || json.Unmarshal(v[0], &at) != nil || json.Unmarshal(v[1], &e.line) != nil || string(v[1]) == "null" {
				return nil, errShape
			}
			ns, err := strconv.ParseInt(at, 10, 64)
			if err != nil {
				return nil, errShape
			}
			e.at = ns
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.stream, b.stream))
	})
	return all, nil
}

// streamID is one text for a set of labels.
func streamID(labels map[string]string) string {
	var b strings.Builder
	for _, n := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(&b, "%d:%s%d:%s", len(n), n, len(labels[n]), labels[n])
	}
	return b.String()
}
