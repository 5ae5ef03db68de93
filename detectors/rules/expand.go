package rules

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"text/template/parse"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/template"

	signalbox "github.com/signalbox/signalbox"
)

// definitions are what Prometheus puts before each template of an alert.
const definitions = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"

var errUnwritten = errors.New("a query that is not written out in the template is not asked")

// expander expands the templates of one rule at one moment, as Prometheus does.
type expander struct {
	alert          string
	externalLabels map[string]string
	externalURL    string
	at             time.Time
	answers        map[string]signalbox.Answer // to the queries that the templates have written out
}

// expand expands text for one sample. What fails is told in the text, as
// Prometheus tells it.
func (x *expander) expand(text string, sample signalbox.Sample) string {
	if !strings.Contains(text, "{{") {
		return text
	}
	address, err := url.Parse(x.externalURL)
	if err != nil {
		address = &url.URL{}
	}
	data := template.AlertTemplateData(maps.Clone(sample.Labels), x.externalLabels, x.externalURL, promql.Sample{F: sample.Value})
	never := context.Background() //nolint:forbidigo // the expander wants one, and nothing in it waits: x.query answers from memory
	t := template.NewTemplateExpander(never, definitions+text, "__alert_"+x.alert, data,
		model.TimeFromUnixNano(x.at.UnixNano()), x.query, address, nil)
	out, err := t.Expand()
	if err != nil {
		return fmt.Sprintf("<error expanding template: %s>", err)
	}
	return out
}

// query is the template function of that name: it finds what was asked with
// the rule.
func (x *expander) query(_ context.Context, q string, _ time.Time) (promql.Vector, error) {
	a, asked := x.answers[q]
	switch {
	case !asked:
		return nil, errUnwritten
	case a.Err != nil:
		return nil, a.Err
	}
	out := make(promql.Vector, len(a.Samples))
	for i, s := range a.Samples {
		out[i] = promql.Sample{Metric: labels.FromMap(s.Labels), F: s.Value, T: a.At.UnixMilli()}
	}
	return out, nil
}

// queries are the queries that templates have written out, each once, and
// whether one has a query that it puts together.
func queries(texts ...string) (written []string, dynamic bool) {
	for _, text := range texts {
		if !strings.Contains(text, "query") {
			continue
		}
		t := parse.New("")
		t.Mode = parse.SkipFuncCheck
		trees := map[string]*parse.Tree{}
		if _, err := t.Parse(definitions+text, "", "", trees); err != nil {
			continue // refused when the file was read
		}
		for _, name := range slices.Sorted(maps.Keys(trees)) {
			f := &finder{}
			f.walk(trees[name].Root)
			written, dynamic = append(written, f.written...), dynamic || f.dynamic
		}
	}
	slices.Sort(written)
	return slices.Compact(written), dynamic
}

// finder looks for calls of query in a template.
type finder struct {
	written []string
	dynamic bool
}

func (f *finder) walk(n parse.Node) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, child := range n.Nodes {
				f.walk(child)
			}
		}
	case *parse.ActionNode:
		f.pipe(n.Pipe)
	case *parse.TemplateNode:
		f.pipe(n.Pipe)
	case *parse.IfNode:
		f.branch(&n.BranchNode)
	case *parse.RangeNode:
		f.branch(&n.BranchNode)
	case *parse.WithNode:
		f.branch(&n.BranchNode)
	}
}

func (f *finder) branch(b *parse.BranchNode) {
	f.pipe(b.Pipe)
	f.walk(b.List)
	f.walk(b.ElseList)
}

func (f *finder) pipe(p *parse.PipeNode) {
	if p == nil {
		return
	}
	for i, c := range p.Cmds {
		for j, arg := range c.Args {
			switch arg := arg.(type) {
			case *parse.PipeNode:
				f.pipe(arg)
			case *parse.IdentifierNode:
				if arg.Ident == "query" {
					f.query(p, i, j)
				}
			}
		}
	}
}

// query looks at the call that is argument j of command i.
func (f *finder) query(p *parse.PipeNode, i, j int) {
	args := p.Cmds[i].Args
	var given parse.Node
	switch {
	case j == 0 && len(args) == 2:
		given = args[1]
	case j == 0 && len(args) == 1 && i > 0 && len(p.Cmds[i-1].Args) == 1:
		given = p.Cmds[i-1].Args[0]
	}
	if s, ok := given.(*parse.StringNode); ok {
		f.written = append(f.written, s.Text)
		return
	}
	f.dynamic = true
}
