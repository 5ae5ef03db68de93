package loki

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// streamPrefix tells a question about a stream from LogQL that gives a value,
// which no expression begins with.
const streamPrefix = "lines?"

// question is what is asked of a stream. It stands in signalbox.Question.Query
// as one text, so that equal ones are equal texts; where the range begins
// stands in From.
type question struct {
	query string        // LogQL that selects lines
	back  time.Duration // the shortest range, and that of the first round of all
	reach time.Duration // the longest range
	lines int           // at most so many are read
}

func (q question) text() string {
	return streamPrefix + url.Values{
		"query": {q.query}, "back": {q.back.String()}, "reach": {q.reach.String()}, "lines": {strconv.Itoa(q.lines)},
	}.Encode()
}

var errQuestion = errors.New("the question can't be read")

// parseQuestion reads what text wrote.
func parseQuestion(text string) (q question, err error) {
	rest, _ := strings.CutPrefix(text, streamPrefix)
	v, err := url.ParseQuery(rest)
	if err != nil {
		return q, errQuestion
	}
	back, backErr := time.ParseDuration(v.Get("back"))
	reach, reachErr := time.ParseDuration(v.Get("reach"))
	lines, linesErr := strconv.Atoi(v.Get("lines"))
	q = question{query: v.Get("query"), back: back, reach: reach, lines: lines}
	if errors.Join(backErr, reachErr, linesErr) != nil || q.query == "" || back <= 0 || reach < back || lines <= 0 {
		return q, errQuestion
	}
	return q, nil
}

// span is the range that is read at a moment. It never begins later than back
// before it, also when the clock was set back.
func (q question) span(from, at time.Time) (start, end time.Time) {
	latest, earliest := at.Add(-q.back), at.Add(-q.reach)
	switch {
	case from.IsZero() || from.After(latest):
		return latest, at
	case from.Before(earliest):
		return earliest, at
	}
	return from, at
}
