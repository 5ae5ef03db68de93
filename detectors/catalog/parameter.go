package catalog

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Parameter is one thing that may be said to an entry.
type Parameter struct {
	Name string `yaml:"name"`
	// Type is one of the types below.
	Type string `yaml:"type"`
	// Means is one line for people.
	Means string `yaml:"means"`
	// Default is what an absent value means; nil: it must be given.
	Default any `yaml:"default"`
	// Example of a value, for the pages and the tests; of a parameter without a
	// default it must be there.
	Example any `yaml:"example"`
	// Least and Most bound a number, or the seconds of a duration.
	Least *float64 `yaml:"least"`
	Most  *float64 `yaml:"most"`
}

// The types of parameters.
const (
	typeMatchers = "matchers" // label matchers, as between the braces of a selector: job="pg", env=~"prod.*"
	typeSeries   = "series"   // a vector selector: http_requests_total{code=~"5.."}
	typeLabels   = "labels"   // a list of names of labels, or one
	typeNames    = "names"    // a list of plain names, or one
	typePattern  = "pattern"  // a regular expression, RE2
	typeDuration = "duration" // 5m
	typeNumber   = "number"
)

// value is what a parameter is given, in the forms in which it can be written.
type value struct {
	forms map[string]string // "" is the usual one
	list  []string          // of a list; alone in its place it is a list there too
}

func one(text string) value { return value{forms: map[string]string{"": text}} }

var parameterName = regexp.MustCompile(`^[a-z][a-z_]*$`)

// check reports what is wrong with the parameter itself.
func (p *Parameter) check() error {
	switch {
	case !parameterName.MatchString(p.Name):
		return errors.New("must have a name of a-z and _")
	case p.Means == "":
		return errors.New("must say what it means")
	case p.Default == nil && p.Example == nil:
		return errors.New("must have a default or an example")
	}
	for _, v := range []any{p.Default, p.Example} {
		if v == nil {
			continue
		}
		if _, err := p.read(v, true); err != nil {
			return fmt.Errorf("%v: %w", v, err)
		}
	}
	return nil
}

// read reads what is given to the parameter. The error is the rule that it
// breaks.
func (p *Parameter) read(given any, there bool) (value, error) {
	if !there || given == nil {
		if p.Default == nil {
			return value{}, fmt.Errorf("is required: %s", p.Means)
		}
		given = p.Default
	}
	switch p.Type {
	case typeMatchers:
		return readMatchers(given)
	case typeSeries:
		return readSeries(given)
	case typeLabels:
		return readLabels(given)
	case typeNames:
		return readNames(given)
	case typePattern:
		return readPattern(given)
	case typeDuration:
		return p.readDuration(given)
	case typeNumber:
		return p.readNumber(given)
	}
	return value{}, fmt.Errorf("has the type %q, which is none", p.Type)
}

var (
	errMatchers = errors.New(`must be label matchers without the name of a metric, like job="pg", env=~"prod.*"`)
	errSeries   = errors.New(`must be one vector selector with the name of a metric, without a range, offset or @, like http_requests_total{code=~"5.."}`)
)

// readMatchers reads matchers and writes them anew.
func readMatchers(given any) (value, error) {
	text, ok := given.(string)
	if !ok {
		return value{}, errMatchers
	}
	if strings.TrimSpace(text) == "" {
		return one(""), nil
	}
	matchers, err := parser.ParseMetricSelector("x{" + text + "}")
	if err != nil {
		return value{}, errMatchers
	}
	var parts []string
	named := 0
	for _, m := range matchers {
		if m.Name == labels.MetricName {
			named++
			continue
		}
		parts = append(parts, m.String())
	}
	if named != 1 || len(parts) == 0 { // the x of our own, and no other
		return value{}, errMatchers
	}
	return one(strings.Join(parts, ",")), nil
}

// readSeries reads a selector and writes it anew.
func readSeries(given any) (value, error) {
	text, ok := given.(string)
	if !ok {
		return value{}, errSeries
	}
	matchers, err := parser.ParseMetricSelector(text)
	if err != nil {
		return value{}, errSeries
	}
	i := slices.IndexFunc(matchers, func(m *labels.Matcher) bool { return m.Name == labels.MetricName })
	if i < 0 || matchers[i].Type != labels.MatchEqual || !model.LegacyValidation.IsValidMetricName(matchers[i].Value) {
		return value{}, errSeries
	}
	name := matchers[i].Value
	var parts []string
	for _, m := range slices.Delete(matchers, i, i+1) {
		if m.Name == labels.MetricName {
			return value{}, errSeries
		}
		parts = append(parts, m.String())
	}
	return one(name + "{" + strings.Join(parts, ",") + "}"), nil
}

// maxList bounds a list.
const maxList = 32

// readList reads a list of words, or one.
func readList(given any, good func(string) bool, rule error) ([]string, error) {
	var list []string
	switch v := given.(type) {
	case string:
		list = []string{v}
	case []any:
		for _, item := range v {
			word, ok := item.(string)
			if !ok {
				return nil, rule
			}
			list = append(list, word)
		}
	}
	if len(list) == 0 || len(list) > maxList {
		return nil, rule
	}
	for i, word := range list {
		if !good(word) || slices.Contains(list[:i], word) {
			return nil, rule
		}
	}
	return list, nil
}

// readLabels reads names of labels. Their form subject is a template of a
// subject, {{a}}/{{b}}.
func readLabels(given any) (value, error) {
	good := func(name string) bool {
		return model.LegacyValidation.IsValidLabelName(name) && name != labels.MetricName
	}
	list, err := readList(given, good, fmt.Errorf("must be names of labels, each once, at most %d", maxList))
	if err != nil {
		return value{}, err
	}
	return value{list: list, forms: map[string]string{
		"": strings.Join(list, ", "), "subject": "{{" + strings.Join(list, "}}/{{") + "}}",
	}}, nil
}

// name is a name as Kubernetes and most others have them.
var name = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$`)

func readNames(given any) (value, error) {
	list, err := readList(given, name.MatchString, fmt.Errorf("must be names of letters, digits, '.', '_' and '-', each once, at most %d", maxList))
	return value{list: list, forms: map[string]string{}}, err
}

// maxPattern bounds a regular expression, in bytes.
const maxPattern = 1024

// readPattern reads a regular expression and writes it in quotes.
func readPattern(given any) (value, error) {
	text, ok := given.(string)
	if ok {
		_, err := regexp.Compile(text)
		ok = err == nil && text != "" && len(text) <= maxPattern
	}
	if !ok {
		return value{}, fmt.Errorf("must be a regular expression (RE2) of at most %d bytes", maxPattern)
	}
	return one(strconv.Quote(text)), nil
}

func (p *Parameter) readDuration(given any) (value, error) {
	text, ok := given.(string)
	d, err := model.ParseDuration(text)
	if !ok || err != nil || d <= 0 {
		return value{}, errors.New("must be a duration with its unit, like 30s or 1h30m")
	}
	if err := p.bound(time.Duration(d).Seconds(), func(v float64) string { return model.Duration(v * 1e9).String() }); err != nil {
		return value{}, err
	}
	v := one(d.String())
	v.forms["seconds"] = plain(time.Duration(d).Seconds())
	return v, nil
}

func (p *Parameter) readNumber(given any) (value, error) {
	var v float64
	switch g := given.(type) {
	case float64:
		v = g
	case int:
		v = float64(g)
	default:
		return value{}, errors.New("must be a number")
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return value{}, errors.New("must be a finite number")
	}
	return one(plain(v)), p.bound(v, plain)
}

func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func (p *Parameter) bound(v float64, write func(float64) string) error {
	switch {
	case p.Least != nil && v < *p.Least:
		return errors.New("must be at least " + write(*p.Least))
	case p.Most != nil && v > *p.Most:
		return errors.New("must be at most " + write(*p.Most))
	}
	return nil
}
