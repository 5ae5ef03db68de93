package catalog_test

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// span is a time of a story, its end not included; without an end it lasts.
type span struct {
	From  kind.Duration `yaml:"from"`
	Until kind.Duration `yaml:"until"`
}

func (s span) has(at time.Duration) bool {
	return at >= s.From.Std() && (s.Until == 0 || at < s.Until.Std())
}

// line is a line of a log that comes again and again.
type line struct {
	span   `yaml:",inline"`
	Every  kind.Duration     `yaml:"every"`
	Labels map[string]string `yaml:"labels"`
	Text   string            `yaml:"text"` // # becomes the number of the line
}

// shelf answers as Loki does, out of the lines of a story.
type shelf struct {
	lines []signalbox.Sample
	down  []span
}

func newShelf(s story) *shelf {
	out := &shelf{down: s.Down}
	for _, l := range s.Lines {
		for at, n := l.From.Std(), 0; at < l.Until.Std(); at, n = at+l.Every.Std(), n+1 {
			text := strings.ReplaceAll(l.Text, "#", strconv.Itoa(n))
			out.lines = append(out.lines, signalbox.Sample{Labels: l.Labels, Text: text, At: start.Add(at)})
		}
	}
	slices.SortStableFunc(out.lines, func(a, b signalbox.Sample) int { return a.At.Compare(b.At) })
	return out
}

func (s *shelf) Ask(_ context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	answers := make([]signalbox.Answer, len(qs))
	for i, q := range qs {
		answers[i] = signalbox.Answer{Question: q, At: at}
		switch stream, isStream := strings.CutPrefix(q.Query, "lines?"); {
		case slices.ContainsFunc(s.down, func(d span) bool { return d.has(at.Sub(start)) }):
			answers[i].Err = errors.New("connection refused")
		case isStream:
			answers[i].Samples, answers[i].Err = s.stream(stream, q.From, at)
		default:
			answers[i].Samples = s.count(q.Query, at)
		}
	}
	return answers
}

// filter is the one line filter of the catalogue's entries.
var filter = regexp.MustCompile(`^\{.*\} \|~ (".*")$`)

// stream returns the lines of a range that match the filter of the question.
func (s *shelf) stream(question string, from, at time.Time) ([]signalbox.Sample, error) {
	v, err := url.ParseQuery(question)
	if err != nil {
		return nil, err
	}
	back, err := time.ParseDuration(v.Get("back"))
	if err != nil {
		return nil, err
	}
	m := filter.FindStringSubmatch(v.Get("query"))
	if m == nil {
		return nil, errors.New("the query has no line filter: " + v.Get("query"))
	}
	pattern, err := strconv.Unquote(m[1])
	if err != nil {
		return nil, err
	}
	match, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	if begin := at.Add(-back); from.IsZero() || from.After(begin) {
		from = begin
	}
	var found []signalbox.Sample
	for _, l := range s.lines {
		if !l.At.Before(from) && l.At.Before(at) && match.MatchString(l.Text) {
			found = append(found, l)
		}
	}
	return found, nil
}

// window is the range of a query that counts lines.
var window = regexp.MustCompile(`\[(\w+)\]`)

// count counts the lines of each set of labels within the query's range.
func (s *shelf) count(query string, at time.Time) []signalbox.Sample {
	back, err := time.ParseDuration(window.FindStringSubmatch(query)[1])
	if err != nil {
		panic(err) // the query is the catalogue's own
	}
	var counts []signalbox.Sample
	for _, l := range s.lines {
		if l.At.Before(at.Add(-back)) || !l.At.Before(at) {
			continue
		}
		i := slices.IndexFunc(counts, func(c signalbox.Sample) bool { return maps.Equal(c.Labels, l.Labels) })
		if i < 0 {
			counts = append(counts, signalbox.Sample{Labels: l.Labels, At: at})
			i = len(counts) - 1
		}
		counts[i].Value++
	}
	return counts
}

// objects is what a watch of a cluster knows in a time of a story.
type objects struct {
	span `yaml:",inline"`
	// There is how many objects the question is about.
	There int `yaml:"there"`
	// Ill are the labels of those that are ill.
	Ill []map[string]string `yaml:"ill"`
	// Fails says why nothing is known.
	Fails string `yaml:"fails"`
}

// cluster answers as a watch does, out of the objects of a story.
type cluster []objects

func (c cluster) Ask(_ context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	answers := make([]signalbox.Answer, len(qs))
	for i, q := range qs {
		answers[i] = signalbox.Answer{Question: q, At: at, Err: errors.New("nothing was listed yet")}
		for _, o := range c {
			if !o.has(at.Sub(start)) {
				continue
			}
			answers[i].Err = nil
			if o.Fails != "" {
				answers[i].Err = errors.New(o.Fails)
				continue
			}
			answers[i].Samples = []signalbox.Sample{{Labels: map[string]string{"what": "scope"}, Value: float64(o.There), At: at}}
			for _, labels := range o.Ill {
				answers[i].Samples = append(answers[i].Samples, signalbox.Sample{Labels: labels, Value: 1, At: at})
			}
		}
	}
	return answers
}
