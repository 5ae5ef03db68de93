package rules

import (
	"errors"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// proof is what shows that an alert which has ended is well.
//
// An expression that gives nothing says either that its comparison is false or
// that there is nothing to compare. So beside it a second one is asked, made of
// it by taking the comparisons out and asking for fresh samples of each
// selector: it gives a sample for each series of which the comparison was
// judged at all.
//
//	node_load1 > 5                    node_load1, fresh
//	a / b > 0.1                       a / b, both fresh; NaN proves nothing
//	a > on (x) group_left b           a - on (x) group_left b
//	a and b, a unless b               the same of a and b; the same of a
//	a or b                            both: what stood behind an alert when it fired must be there
//	absent(a)                         its own emptiness: a is there
type proof struct {
	parts []string // expressions that must each have a sample of the alert
	own   bool     // an empty answer is itself the proof
	why   string   // why nothing can prove it; empty: something can
}

// nature is what an expression's samples speak of.
type nature uint8

const (
	measured nature = iota // what was measured
	constant               // nothing: there is no selector in it
	absence                // that something is not there
)

var (
	errFixed    = errors.New("it reads at a fixed time (@), which goes stale unseen")
	errNoFilter = errors.New("it has no comparison, so that nothing tells an end from missing data")
	errMixed    = errors.New("it calculates with absent()")
	errCounted  = errors.New("count_values makes a label of what is measured")
)

// derive finds the proof of a rule. Samples older than maxAge are not fresh.
func derive(expr parser.Expr, maxAge time.Duration) proof {
	if !filters(expr) {
		return proof{why: errNoFilter.Error()}
	}
	p, d := proof{own: true}, deriver{maxAge}
	for _, side := range sides(expr) {
		e, n, err := d.present(side)
		switch {
		case err != nil:
			return proof{why: err.Error()}
		case n == measured:
			p.parts, p.own = append(p.parts, e.String()), false
		case n == constant:
			return proof{why: "a part of it is always true"}
		}
	}
	return p
}

// filters reports whether an expression leaves something out by what it is.
func filters(expr parser.Expr) bool {
	found := false
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.BinaryExpr:
			found = found || n.Op.IsComparisonOperator() && !n.ReturnBool || n.Op == parser.LUNLESS
		case *parser.Call:
			found = found || isAbsence(n)
		}
		return nil
	})
	return found
}

func isAbsence(c *parser.Call) bool {
	return c.Func.Name == "absent" || c.Func.Name == "absent_over_time"
}

// sides are what an expression joins by `or`.
func sides(expr parser.Expr) []parser.Expr {
	switch e := bare(expr).(type) {
	case *parser.BinaryExpr:
		if e.Op == parser.LOR {
			return append(sides(e.LHS), sides(e.RHS)...)
		}
		return []parser.Expr{e}
	default:
		return []parser.Expr{e}
	}
}

func bare(expr parser.Expr) parser.Expr {
	for {
		p, ok := expr.(*parser.ParenExpr)
		if !ok {
			return expr
		}
		expr = p.Expr
	}
}

// deriver rewrites expressions; it never changes the one that it is given.
type deriver struct{ maxAge time.Duration }

// present returns an expression that has a sample wherever expr was judged.
func (d deriver) present(expr parser.Expr) (parser.Expr, nature, error) {
	switch e := bare(expr).(type) {
	case *parser.NumberLiteral, *parser.StringLiteral:
		return e, constant, nil
	case *parser.UnaryExpr:
		return d.present(e.Expr)
	case *parser.VectorSelector:
		return d.selector(e)
	case *parser.AggregateExpr:
		return d.aggregate(e)
	case *parser.BinaryExpr:
		return d.binary(e)
	case *parser.Call:
		return d.call(e)
	default:
		return nil, measured, errMixed // no other node gives a vector
	}
}

// selector asks for fresh samples: time() - timestamp(x) < the bound.
func (d deriver) selector(v *parser.VectorSelector) (parser.Expr, nature, error) {
	if v.Timestamp != nil || v.StartOrEnd != 0 {
		return nil, measured, errFixed
	}
	plain := &parser.VectorSelector{Name: v.Name, LabelMatchers: v.LabelMatchers, OriginalOffset: v.OriginalOffset}
	return and(plain, d.fresh(plain)), measured, nil
}

func (d deriver) fresh(v *parser.VectorSelector) parser.Expr {
	if v.Name == "" { // timestamp() drops the name, by which the series may differ
		return v
	}
	age := &parser.BinaryExpr{Op: parser.SUB, LHS: call("time"), RHS: call("timestamp", v)}
	bound := &parser.NumberLiteral{Val: (d.maxAge + v.OriginalOffset).Seconds()}
	return &parser.ParenExpr{Expr: &parser.BinaryExpr{Op: parser.LSS, LHS: age, RHS: bound}}
}

func call(name string, args ...parser.Expr) *parser.Call {
	return &parser.Call{Func: parser.Functions[name], Args: args}
}

func and(a, b parser.Expr) parser.Expr {
	return &parser.ParenExpr{Expr: &parser.BinaryExpr{
		Op: parser.LAND, LHS: a, RHS: b, VectorMatching: &parser.VectorMatching{Card: parser.CardManyToMany},
	}}
}

// aggregate: what keeps its elements' labels is as present as they are.
func (d deriver) aggregate(a *parser.AggregateExpr) (parser.Expr, nature, error) {
	inner, n, err := d.present(a.Expr)
	if err != nil || n != measured {
		return a, n, err
	}
	switch a.Op {
	case parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO:
		return inner, measured, nil
	case parser.COUNT_VALUES:
		return nil, measured, errCounted
	}
	return &parser.AggregateExpr{Op: a.Op, Expr: inner, Param: a.Param, Grouping: a.Grouping, Without: a.Without}, measured, nil
}

func (d deriver) binary(b *parser.BinaryExpr) (parser.Expr, nature, error) {
	left, l, err := d.present(b.LHS)
	if err != nil {
		return nil, measured, err
	}
	right, r, err := d.present(b.RHS)
	if err != nil {
		return nil, measured, err
	}
	switch b.Op {
	case parser.LAND:
		return both(b, left, right, l, r)
	case parser.LUNLESS:
		// It ends when the left side does, or when something of the right is
		// there: which is seen, not missing.
		if l == constant && r == measured {
			return b, absence, nil
		}
		return left, l, nil
	case parser.LOR:
		return either(b, left, right, l, r)
	}
	return arithmetic(b, left, right, l, r)
}

func both(b *parser.BinaryExpr, left, right parser.Expr, l, r nature) (parser.Expr, nature, error) {
	switch {
	case l == measured && r == measured:
		return with(b, parser.LAND, left, right), measured, nil
	case l == constant:
		return right, r, nil
	case r != measured: // the end of a side that speaks of absence is seen
		return left, l, nil
	}
	return nil, measured, errMixed
}

func either(b *parser.BinaryExpr, left, right parser.Expr, l, r nature) (parser.Expr, nature, error) {
	switch {
	case l == measured && r == measured:
		return with(b, parser.LOR, left, right), measured, nil
	case l == measured: // `or vector(0)` hides that nothing is measured
		return left, l, nil
	case r == measured:
		return right, r, nil
	}
	return b, max(l, r), nil
}

// arithmetic: a comparison becomes a difference, which needs both sides as the
// comparison does, and is not a number where that could not be judged.
func arithmetic(b *parser.BinaryExpr, left, right parser.Expr, l, r nature) (parser.Expr, nature, error) {
	comparison := b.Op.IsComparisonOperator()
	switch {
	case l == constant && r == constant:
		return b, constant, nil
	case l == absence && r == constant, l == constant && r == absence:
		return b, absence, nil
	case l == absence || r == absence:
		return nil, measured, errMixed
	case comparison && !b.ReturnBool && r == constant && b.LHS.Type() == parser.ValueTypeVector:
		return left, measured, nil
	case comparison && !b.ReturnBool && l == constant && b.RHS.Type() == parser.ValueTypeVector:
		return right, measured, nil
	case comparison:
		return with(b, parser.SUB, left, right), measured, nil
	}
	return with(b, b.Op, left, right), measured, nil
}

func with(b *parser.BinaryExpr, op parser.ItemType, left, right parser.Expr) parser.Expr {
	return &parser.ParenExpr{Expr: &parser.BinaryExpr{Op: op, LHS: left, RHS: right, VectorMatching: b.VectorMatching}}
}

// call: a function of a range is present with a fresh sample of its selector.
func (d deriver) call(c *parser.Call) (parser.Expr, nature, error) {
	if isAbsence(c) {
		return c, absence, nil
	}
	if c.Func.Name == "timestamp" { // of a bare selector it is the sample's own: stale is what such a rule looks for
		if v, ok := bare(c.Args[0]).(*parser.VectorSelector); ok && v.Timestamp == nil && v.StartOrEnd == 0 {
			return c, measured, nil
		}
	}
	out, result := &parser.Call{Func: c.Func}, constant
	var fresh parser.Expr
	for _, arg := range c.Args {
		var err error
		var n nature
		switch a := bare(arg).(type) {
		case *parser.MatrixSelector:
			n = measured
			_, _, err = d.selector(a.VectorSelector.(*parser.VectorSelector))
			fresh = d.fresh(a.VectorSelector.(*parser.VectorSelector))
		case *parser.SubqueryExpr:
			arg, fresh, n, err = d.subquery(a)
		default:
			arg, n, err = d.present(arg)
		}
		if err != nil {
			return nil, measured, err
		}
		out.Args = append(out.Args, arg)
		switch {
		case n == absence:
			result = absence
		case n == measured && result == constant:
			result = measured
		}
	}
	switch {
	case result != measured:
		return c, result, nil
	case fresh == nil:
		return out, measured, nil
	}
	return and(out, fresh), measured, nil
}

// subquery: what is asked of the past is asked of now too, but for an offset.
func (d deriver) subquery(s *parser.SubqueryExpr) (arg, fresh parser.Expr, n nature, err error) {
	if s.Timestamp != nil || s.StartOrEnd != 0 {
		return nil, nil, measured, errFixed
	}
	inner, n, err := d.present(s.Expr)
	if err != nil || n != measured {
		return s, nil, n, err
	}
	if s.OriginalOffset == 0 {
		fresh = &parser.ParenExpr{Expr: inner}
	}
	return &parser.SubqueryExpr{Expr: &parser.ParenExpr{Expr: inner}, Range: s.Range, OriginalOffset: s.OriginalOffset, Step: s.Step}, fresh, n, nil
}

// reach is how far back of its evaluation an expression reads.
func reach(expr parser.Expr) time.Duration {
	var far time.Duration
	parser.Inspect(expr, func(n parser.Node, path []parser.Node) error {
		v, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		back := v.OriginalOffset
		for _, p := range path {
			switch p := p.(type) {
			case *parser.MatrixSelector:
				back += p.Range
			case *parser.SubqueryExpr:
				back += p.Range + p.OriginalOffset
			}
		}
		far = max(far, back)
		return nil
	})
	return far
}
