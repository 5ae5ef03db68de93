package prometheus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	signalbox "github.com/signalbox/signalbox"
)

// A query and the questions about the age of what is behind it are asked in one
// request: a request costs the daemon and the server more than what they
// evaluate. Each part's series get a label that tells them apart:
//
//	label_replace((query), "__signalbox_part__", "0", "", "") or label_replace((timestamp(selector)), "__signalbox_part__", "1", "", "")
//
// Where a part can't be evaluated, or there is a warning, or a part's answer is
// none that is taken, single questions follow, so that each has its own error
// and its own warnings. A server that does not answer is not asked again.

// partLabel tells the parts of one request apart.
const partLabel = "__signalbox_part__"

// mostParts bounds the parts of one request.
const mostParts = 8

// Together implements signalbox.Joiner: a query, and the freshness questions that
// follow it.
func (s *Source) Together(qs []signalbox.Question) (groups [][]int) {
	joins := false // the group under way can be joined
	for i, q := range qs {
		last := len(groups) - 1
		vector := s.types.vector(q.Query)
		if joins && vector && strings.HasPrefix(q.Query, "timestamp(") && len(groups[last]) < mostParts {
			groups[last] = append(groups[last], i)
			continue
		}
		groups, joins = append(groups, []int{i}), vector
	}
	return groups
}

// together joins the questions of a group.
func together(group []*signalbox.Answer) string {
	var b strings.Builder
	for i, a := range group {
		if i > 0 {
			b.WriteString(" or ")
		}
		// A comment may end the query, and ends with its line.
		fmt.Fprintf(&b, "label_replace((%s\n), %q, %q, \"\", \"\")", a.Question.Query, partLabel, strconv.Itoa(i))
	}
	return b.String()
}

// askTogether asks a group in one request.
func (s *Source) askTogether(ctx context.Context, group []*signalbox.Answer) {
	within, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	value, warnings, _, err := s.api.Query(within, together(group), group[0].At, v1.WithTimeout(s.timeout))
	all, shaped := value.(model.Vector)
	if err == nil && !shaped {
		err = errShape
	}
	switch {
	case err != nil && !ofParts(err):
		for _, a := range group {
			a.Err = s.explain(err)
		}
	case err == nil && len(warnings) == 0 && apart(all, group):
		for _, a := range group {
			s.client.RedactAnswer(a)
		}
	default:
		for _, a := range group {
			s.ask(ctx, a)
		}
	}
}

// ofParts reports whether an error may be that of one part.
func ofParts(err error) bool {
	e, ok := errors.AsType[*v1.Error](err)
	return ok && (e.Type == v1.ErrBadData || e.Type == v1.ErrExec)
}

// apart gives each question its samples; false, and nothing, where that can't
// be done.
func apart(all model.Vector, group []*signalbox.Answer) bool {
	parts := make([]model.Vector, len(group))
	for _, sample := range all {
		if sample == nil {
			return false
		}
		part, err := strconv.Atoi(string(sample.Metric[partLabel]))
		if err != nil || part < 0 || part >= len(group) {
			return false
		}
		delete(sample.Metric, partLabel)
		parts[part] = append(parts[part], sample)
	}
	found := make([][]signalbox.Sample, len(group))
	for i, a := range group {
		samples, err := instant(parts[i], a.At)
		if err != nil {
			return false
		}
		found[i] = samples
	}
	for i, a := range group {
		a.Samples = found[i]
	}
	return true
}

// types remembers which queries give a vector: only those can be joined. It is
// safe for concurrent use.
type types struct {
	mu   sync.Mutex
	seen map[string]bool
}

// mostTypes bounds what is remembered; then it is forgotten, and found again.
const mostTypes = 100_000

func (t *types) vector(text string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	is, known := t.seen[text]
	if !known {
		expr, err := parser.ParseExpr(text)
		is = err == nil && expr.Type() == parser.ValueTypeVector && !strings.Contains(text, partLabel)
		if t.seen == nil || len(t.seen) >= mostTypes {
			t.seen = map[string]bool{}
		}
		t.seen[text] = is
	}
	return is
}

// askAll asks a group, of one question or more, at one moment.
func (s *Source) askAll(ctx context.Context, group []*signalbox.Answer) {
	if len(group) == 1 {
		s.ask(ctx, group[0])
		return
	}
	s.askTogether(ctx, group)
}

// answersTo are empty answers to questions of one moment.
func answersTo(qs []signalbox.Question, at time.Time) []signalbox.Answer {
	answers := make([]signalbox.Answer, len(qs))
	for i, q := range qs {
		answers[i] = signalbox.Answer{Question: q, At: at}
	}
	return answers
}
