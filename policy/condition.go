package policy

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	celast "github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	signalbox "github.com/signalbox/signalbox"
)

// The bounds of one condition. Labels are untrusted, so the work that they can
// cause is bounded too; a condition of a usual runbook costs about 10.
const (
	conditionSize = 4096 // code points
	conditionCost = 20_000
)

// condition is a compiled CEL expression. It is safe for concurrent use.
type condition struct {
	text    string
	program cel.Program
}

// CheckWhen type-checks a condition of a policy (`when`) or of a step (`if`)
// for a detector of unit. It may use
//
//	value                  duration for Seconds, else double; no value is an error
//	labels                 map(string, string)
//	subject, detector      string
//	destination.position   string: where the step's switch would go
//	destination.healthy    bool: proved, by fresh samples
//	destination.value      as value, in the unit of the detector that proves it
//
// The result is a bool. destination holds the unit of the detector that proves
// the health of the destination (for `when`: of the first switch that the
// runbook throws); without it, destination is not declared. An empty condition
// is true. The error is one line, with the columns.
func CheckWhen(expr string, unit signalbox.Unit, destination ...signalbox.Unit) error {
	_, err := newCompiler().compile(expr, unit, destination...)
	return err
}

// CheckStep type-checks a condition of a step ("if", or what it waits for): as
// CheckWhen, and with
//
//	steps.ID               map(string, string) of each earlier step with an id:
//	                       state, outcome, position, to, detail
func CheckStep(expr string, unit signalbox.Unit, earlier []string, destination ...signalbox.Unit) error {
	_, err := newCompiler().compileStep(expr, unit, earlier, destination...)
	return err
}

// compiler compiles conditions, and makes each environment only once.
type compiler struct{ envs map[string]*cel.Env }

func newCompiler() *compiler { return &compiler{envs: map[string]*cel.Env{}} }

// compile returns nil for an empty expression.
func (c *compiler) compile(expr string, unit signalbox.Unit, destination ...signalbox.Unit) (*condition, error) {
	return c.compileIn(expr, unit, nil, destination)
}

// compileStep compiles a condition that may speak of earlier steps.
func (c *compiler) compileStep(expr string, unit signalbox.Unit, earlier []string, destination ...signalbox.Unit) (*condition, error) {
	if earlier == nil {
		earlier = []string{}
	}
	return c.compileIn(expr, unit, earlier, destination)
}

func (c *compiler) compileIn(expr string, unit signalbox.Unit, earlier []string, destination []signalbox.Unit) (*condition, error) {
	if expr == "" {
		return nil, nil
	}
	env, err := c.env(unit, earlier != nil, destination)
	if err != nil {
		return nil, err
	}
	ast, issues := env.Compile(expr)
	if issues.Err() != nil {
		return nil, plainIssues(issues)
	}
	if ast.OutputType() != cel.BoolType {
		return nil, fmt.Errorf("must be true or false, got a value of type %s", ast.OutputType())
	}
	if err := knownSteps(ast, earlier); err != nil {
		return nil, err
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if !surelyCheap(env, ast) {
		options = append(options, cel.CostLimit(conditionCost))
	}
	program, err := env.Program(ast, options...)
	if err != nil {
		return nil, err
	}
	return &condition{text: expr, program: program}, nil
}

// surelyCheap reports whether no labels, however many and long, can make an
// expression cost more than it may: then its cost need not be counted while it
// is evaluated, which takes as long as the evaluation.
func surelyCheap(env *cel.Env, ast *cel.Ast) bool {
	cost, err := env.EstimateCost(ast, sizesUnknown{})
	return err == nil && cost.Max <= conditionCost
}

// sizesUnknown is a checker.CostEstimator that takes any input to be of any size.
type sizesUnknown struct{}

func (sizesUnknown) EstimateSize(checker.AstNode) *checker.SizeEstimate { return nil }

func (sizesUnknown) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// knownSteps refuses what speaks of a step that is not an earlier one.
func knownSteps(a *cel.Ast, earlier []string) error {
	var unknown []string
	isSteps := func(e celast.Expr) bool { return e.Kind() == celast.IdentKind && e.AsIdent() == "steps" }
	known := func(id string) {
		if !slices.Contains(earlier, id) {
			unknown = append(unknown, id)
		}
	}
	celast.PreOrderVisit(a.NativeRep().Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		switch {
		case e.Kind() == celast.SelectKind && isSteps(e.AsSelect().Operand()):
			known(e.AsSelect().FieldName())
		case e.Kind() == celast.CallKind && e.AsCall().FunctionName() == operators.Index && isSteps(e.AsCall().Args()[0]):
			id, ok := e.AsCall().Args()[1].AsLiteral().(types.String)
			if !ok {
				unknown = append(unknown, "an id that is computed")
				return
			}
			known(string(id))
		}
	}))
	if len(unknown) > 0 {
		return fmt.Errorf("steps: %q is not the id of an earlier step", unknown[0])
	}
	return nil
}

func (c *compiler) env(unit signalbox.Unit, steps bool, destination []signalbox.Unit) (*cel.Env, error) {
	key := fmt.Sprintf("%q %t %q", unit, steps, destination)
	if env := c.envs[key]; env != nil {
		return env, nil
	}
	options := []cel.EnvOption{
		cel.ParserExpressionSizeLimit(conditionSize),
		cel.CrossTypeNumericComparisons(true), // so that value > 5 needs no .0
		cel.Variable("value", valueType(unit)),
		cel.Variable("labels", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("subject", cel.StringType),
		cel.Variable("detector", cel.StringType),
	}
	if steps {
		options = append(options, cel.Variable("steps", cel.MapType(cel.StringType, cel.MapType(cel.StringType, cel.StringType))))
	}
	if len(destination) > 0 {
		options = append(options,
			cel.Variable("destination.position", cel.StringType),
			cel.Variable("destination.healthy", cel.BoolType),
			cel.Variable("destination.value", valueType(destination[0])))
	}
	env, err := cel.NewEnv(options...)
	if err == nil {
		c.envs[key] = env
	}
	return env, err
}

func valueType(unit signalbox.Unit) *cel.Type {
	if unit == signalbox.Seconds {
		return cel.DurationType
	}
	return cel.DoubleType
}

// plainIssues writes what is wrong in one line, without the picture that CEL
// draws.
func plainIssues(issues *cel.Issues) error {
	var errs []string
	for _, e := range issues.Errors() {
		errs = append(errs, fmt.Sprintf("column %d: %s", e.Location.Column()+1, e.Message))
	}
	return errors.New(joinAnd(errs))
}

// input is what a condition sees. It is a cel.Activation; a nil value is not
// known, so that a condition that needs it fails.
type input struct {
	reading     *signalbox.Reading
	destination func() *destination // looks it up; asked only where a condition needs it
	looked      *destination
	steps       func() steps // of a step's condition
	returned    ref.Val      // what steps gave
}

// destination is where a switch would go.
type destination struct {
	position string
	healthy  bool
	value    ref.Val
}

// ResolveName returns the value of a variable.
func (in *input) ResolveName(name string) (any, bool) {
	switch name {
	case "value":
		v := celValue(in.reading)
		return v, v != nil
	case "labels":
		return types.NewStringStringMap(types.DefaultTypeAdapter, in.reading.Labels), true
	case "subject":
		return types.String(in.reading.Subject), true
	case "detector":
		return types.String(in.reading.Detector), true
	case "steps":
		if in.steps == nil {
			return nil, false
		}
		if in.returned == nil {
			in.returned = celSteps(in.steps())
		}
		return in.returned, true
	}
	return in.resolveDestination(name)
}

// celSteps makes values of CEL's own: at others it looks by reflection.
func celSteps(given steps) ref.Val {
	all := make(map[string]any, len(given))
	for id, s := range given {
		all[id] = types.NewStringStringMap(types.DefaultTypeAdapter, s)
	}
	return types.NewStringInterfaceMap(types.DefaultTypeAdapter, all)
}

func (in *input) resolveDestination(name string) (any, bool) {
	if in.looked == nil && in.destination != nil {
		in.looked = in.destination()
	}
	if in.looked == nil {
		return nil, false
	}
	switch name {
	case "destination.position":
		return types.String(in.looked.position), true
	case "destination.healthy":
		return types.Bool(in.looked.healthy), true
	case "destination.value":
		return in.looked.value, in.looked.value != nil
	}
	return nil, false
}

// Parent returns nil: there is no other input.
func (in *input) Parent() cel.Activation { return nil }

// celValue returns nil where there is no value that can be compared.
func celValue(r *signalbox.Reading) ref.Val {
	v := float64(r.Value)
	if !r.HasValue || math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	if r.Unit != signalbox.Seconds {
		return types.Double(v)
	}
	if ns := v * float64(time.Second); math.Abs(ns) < math.MaxInt64 {
		return types.Duration{Duration: time.Duration(math.Round(ns))}
	}
	return nil
}

// holds evaluates the condition. An error, also of a label or value that is not
// there, is never a match.
func (c *condition) holds(in *input) (bool, error) {
	if c == nil {
		return true, nil
	}
	out, _, err := c.program.Eval(in)
	if err != nil {
		return false, err
	}
	b, ok := out.(types.Bool)
	if !ok {
		return false, fmt.Errorf("must be true or false, got a value of type %s", out.Type())
	}
	return bool(b), nil
}
