package freshness

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/signalbox/signalbox/internal/httpclient"
)

// Query is what must be known of a PromQL expression to judge its answers. It is
// immutable.
type Query struct {
	Text      string
	selectors []selector
	Window    time.Duration // how far back of the evaluation the value reaches
}

// selector is one vector selector of a query, as its freshness is asked.
type selector struct {
	question string        // timestamp(…) at the selector's offset
	offset   time.Duration // how much older than the evaluation its samples are meant to be
	// optional: the result can be whole without a sample of it, as on either
	// side of `or`.
	optional bool
	compare  labelSet // the labels of its samples that reach the result
}

// labelSet is all labels, or only those of only, without those of except.
type labelSet struct {
	all    bool
	only   []string
	except []string
}

func (s labelSet) has(name string) bool {
	return name != model.MetricNameLabel && (s.all || slices.Contains(s.only, name)) && !slices.Contains(s.except, name)
}

// among keeps of s what is in names.
func (s labelSet) among(names []string) labelSet {
	var kept []string
	for _, n := range names {
		if s.has(n) {
			kept = append(kept, n)
		}
	}
	return labelSet{only: kept}
}

func (s labelSet) without(names ...string) labelSet {
	s.except = append(slices.Clone(s.except), names...)
	return s
}

// ErrComparison says why the last operator of a query must not be a comparison.
var ErrComparison = errors.New("must not end in a comparison, since its empty answer would not prove health: let the query give the value, and put the threshold into breach")

var (
	errType       = errors.New("must give an instant vector or a scalar")
	errNoSelector = errors.New("must select a metric: a value without samples behind it proves nothing")
	errAt         = errors.New("must not use @: the value would stand still while time goes on")
	errFar        = errors.New("must not reach further back than 10 years")
	errNegative   = errors.New("must not use a negative offset: it asks about the future")
)

// farthest is how far back a query may reach: within what a Duration can add up.
const farthest = 10 * 365 * 24 * time.Hour

// Parse reads a PromQL expression. The error says the rule that it breaks.
func Parse(text string) (*Query, error) {
	expr, err := parser.ParseExpr(text)
	if err != nil {
		return nil, fmt.Errorf("must be PromQL: %s", httpclient.Plain(err.Error(), 300))
	}
	if t := expr.Type(); t != parser.ValueTypeVector && t != parser.ValueTypeScalar {
		return nil, fmt.Errorf("%w, not a %s", errType, parser.DocumentedType(t))
	}
	w := &walk{query: &Query{Text: strings.TrimSpace(text)}}
	if err := w.visit(expr, path{compare: labelSet{all: true}}); err != nil {
		return nil, err
	}
	if len(w.query.selectors) == 0 {
		return nil, errNoSelector
	}
	return w.query, nil
}

// EndsInComparison reports whether the expression filters by a comparison, so
// that what is well is left out of its answer.
func EndsInComparison(text string) bool {
	expr, err := parser.ParseExpr(text)
	for err == nil {
		p, ok := expr.(*parser.ParenExpr)
		if !ok {
			break
		}
		expr = p.Expr
	}
	b, ok := expr.(*parser.BinaryExpr)
	return err == nil && ok && b.Op.IsComparisonOperator() && !b.ReturnBool
}

// Questions are the distinct freshness questions, in order.
func (q *Query) Questions() []string {
	var out []string
	for _, s := range q.selectors {
		if !slices.Contains(out, s.question) {
			out = append(out, s.question)
		}
	}
	return out
}

// path is what lies between the root of the expression and a node of it.
type path struct {
	offset   time.Duration
	reach    time.Duration // of ranges and subqueries
	optional bool
	compare  labelSet
}

func (p path) asOptional() path { p.optional = true; return p }

func (p path) comparing(s labelSet) path { p.compare = s; return p }

// back adds a range and an offset. It is checked at each step, so that no sum
// overflows.
func (p path) back(reach, offset time.Duration) (path, error) {
	if offset < 0 {
		return p, errNegative
	}
	if p.reach, p.offset = p.reach+reach, p.offset+offset; max(reach, offset, p.reach, p.offset) > farthest || p.reach+p.offset > farthest {
		return p, errFar
	}
	return p, nil
}

// walk collects the selectors of an expression.
type walk struct{ query *Query }

func (w *walk) visit(n parser.Node, p path) error {
	switch n := n.(type) {
	case *parser.VectorSelector:
		return w.selector(n, p)
	case *parser.MatrixSelector:
		p, err := p.back(n.Range, 0)
		if err != nil {
			return err
		}
		return w.visit(n.VectorSelector, p)
	case *parser.SubqueryExpr:
		if n.Timestamp != nil || n.StartOrEnd != 0 {
			return errAt
		}
		p, err := p.back(n.Range, n.OriginalOffset)
		if err != nil {
			return err
		}
		return w.visit(n.Expr, p)
	case *parser.AggregateExpr:
		return w.aggregate(n, p)
	case *parser.BinaryExpr:
		return w.binary(n, p)
	case *parser.Call:
		return w.call(n, p)
	}
	for _, child := range parser.Children(n) {
		if err := w.visit(child, p); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) selector(v *parser.VectorSelector, p path) error {
	if v.Timestamp != nil || v.StartOrEnd != 0 {
		return errAt
	}
	p, err := p.back(0, v.OriginalOffset)
	if err != nil {
		return err
	}
	bare := &parser.VectorSelector{Name: v.Name, LabelMatchers: v.LabelMatchers, OriginalOffset: p.offset}
	w.query.selectors = append(w.query.selectors, selector{
		question: "timestamp(" + bare.String() + ")", offset: p.offset, optional: p.optional, compare: p.compare,
	})
	w.query.Window = max(w.query.Window, p.reach+p.offset)
	return nil
}

// aggregate: only the labels that are grouped by come through.
func (w *walk) aggregate(a *parser.AggregateExpr, p path) error {
	if a.Param != nil {
		if err := w.visit(a.Param, p.comparing(labelSet{})); err != nil {
			return err
		}
	}
	inner := p.compare
	switch a.Op {
	case parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO: // these keep the labels of their elements
	default:
		if name, ok := a.Param.(*parser.StringLiteral); ok { // count_values makes a label of the values
			inner = inner.without(name.Val)
		}
		if a.Without {
			inner = inner.without(a.Grouping...)
		} else {
			inner = inner.among(a.Grouping)
		}
	}
	return w.visit(a.Expr, p.comparing(inner))
}

// binary: a side whose labels do not reach the result is compared on the labels
// on which the sides are matched.
func (w *walk) binary(b *parser.BinaryExpr, p path) error {
	left, right := p, p
	if m := b.VectorMatching; m != nil {
		matched := p.compare.without(m.MatchingLabels...)
		if m.On {
			matched = p.compare.among(m.MatchingLabels)
		}
		for _, n := range m.Include {
			if m.On && p.compare.has(n) {
				matched.only = append(matched.only, n)
			}
		}
		switch {
		case b.Op == parser.LOR:
			left, right = p.asOptional(), p.asOptional()
		case b.Op == parser.LUNLESS:
			right = p.asOptional().comparing(matched)
		case b.Op == parser.LAND:
			right = p.comparing(matched)
		case m.Card == parser.CardManyToOne:
			left, right = p.comparing(p.compare.without(m.Include...)), p.comparing(matched)
		case m.Card == parser.CardOneToMany:
			left, right = p.comparing(matched), p.comparing(p.compare.without(m.Include...))
		}
	}
	if err := w.visit(b.LHS, left); err != nil {
		return err
	}
	return w.visit(b.RHS, right)
}

// call: functions that make labels, drop them, or speak of absence.
func (w *walk) call(c *parser.Call, p path) error {
	switch c.Func.Name {
	case "absent", "absent_over_time":
		p = p.asOptional()
	case "scalar":
		p = p.comparing(labelSet{})
	case "label_replace", "label_join":
		if name, ok := c.Args[1].(*parser.StringLiteral); ok {
			p = p.comparing(p.compare.without(name.Val))
		}
	}
	for _, arg := range c.Args {
		if err := w.visit(arg, p); err != nil {
			return err
		}
	}
	return nil
}
