package grafana

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// scope is all that the variables of one query depend on. It is for one
// resolution, and not for concurrent use.
type scope struct {
	variables map[string]*variable
	overrides map[string]string
	sources   []datasource
	lang      language
	title     string // of the dashboard
	uid       string
	model     *panelModel
	times     func() (timeRange, error)
	used      map[string]string // the dashboard's variables that were filled in, as they were written
	// The step between two points: what the query's own least interval, the
	// data source and the query's factor say.
	least   time.Duration
	scrape  time.Duration
	factor  int64
	byRate  bool // the least interval is $__rate_interval
	instant bool // the panel itself asks for one moment
}

func newScope(d *dashboard, m *panelModel, ref reference, sources []datasource, at time.Time) (*scope, error) {
	s := &scope{
		variables: make(map[string]*variable, len(d.Templating.List)), overrides: ref.Variables, sources: sources,
		title: d.Title, uid: d.UID, model: m, used: map[string]string{}, factor: 1,
	}
	s.times = func() (timeRange, error) {
		return rangeAt(string(d.Time.From), string(d.Time.To), string(m.TimeFrom), at)
	}
	for i := range d.Templating.List {
		v := &d.Templating.List[i]
		s.variables[string(v.Name)] = v
	}
	for name := range ref.Variables {
		if s.variables[name] == nil {
			return nil, fmt.Errorf("variables: the dashboard has no variable %q", plain(name))
		}
	}
	return s, nil
}

// syntax are the three ways to write a variable: $name, [[name:format]] and
// ${name.field:format}.
var syntax = regexp.MustCompile(`\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}`)

var nameForm = regexp.MustCompile(`^\w{1,100}$`)

func isName(s string) bool { return nameForm.MatchString(s) }

// maxText bounds what an interpolation may grow to.
const maxText = 256 << 10

// fill puts the values of variables into a text, once: a value is never read
// for variables again. One that is not known is an error.
func (s *scope) fill(in string) (string, error) {
	var b strings.Builder
	last := 0
	for _, at := range syntax.FindAllStringSubmatchIndex(in, -1) {
		b.WriteString(in[last:at[0]])
		last = at[1]
		group := func(n int) string {
			if at[2*n] < 0 {
				return ""
			}
			return in[at[2*n]:at[2*n+1]]
		}
		name := or(group(1), or(group(2), group(4)))
		written, err := s.one(name, group(5), or(group(3), group(6)), in[at[0]:at[1]], in[last:])
		if err != nil {
			return "", fmt.Errorf("its variable $%s %w", plain(name), err)
		}
		b.WriteString(written)
		if b.Len() > maxText {
			return "", fmt.Errorf("it is longer than %d KiB with its variables filled in", maxText>>10)
		}
	}
	b.WriteString(in[last:])
	return b.String(), nil
}

// reference is the name of a variable of the dashboard that a text names, or
// one of Grafana's own; "" where it names none.
func (s *scope) reference(in string) string {
	for _, m := range syntax.FindAllStringSubmatch(in, -1) {
		name := or(m[1], or(m[2], m[4]))
		if s.variables[name] != nil || strings.HasPrefix(name, "__") {
			return name
		}
	}
	return ""
}

var errUnknownVariable = errors.New("is not one of the dashboard, and not one of Grafana's that is known here: write its value into the query")

// one is what stands for one reference to a variable; rest follows it.
func (s *scope) one(name, field, as, written, rest string) (string, error) {
	v := s.variables[name]
	switch {
	case v == nil && name[0] >= '0' && name[0] <= '9':
		return written, nil // a group of a regular expression: "$1"
	case v == nil && s.isMacro(name, rest):
		return written, nil // for the data source to fill in
	case v == nil:
		out, err := s.builtIn(name, field, as)
		if name != "__from" && name != "__to" { // these go with the time
			s.used[name] = out
		}
		return out, err
	}
	val, err := s.value(v)
	if err != nil {
		return "", err
	}
	switch field {
	case "":
	case "text":
		val.values = val.texts
	default:
		return "", fmt.Errorf("is asked for its field %q, which only a browser knows", plain(field))
	}
	out, err := format(val, as, s.lang)
	if err != nil {
		return "", err
	}
	s.used[name] = out
	return out, nil
}

// isMacro reports whether a name is a function that an SQL data source fills
// in itself: $__timeFilter(column).
func (s *scope) isMacro(name, rest string) bool {
	if s.lang != sqlLanguage {
		return false
	}
	switch name {
	case "__time", "__timeEpoch", "__timeFilter", "__timeFrom", "__timeTo", "__timeGroup", "__timeGroupAlias",
		"__unixEpochFilter", "__unixEpochFrom", "__unixEpochTo", "__unixEpochNanoFilter", "__unixEpochNanoFrom",
		"__unixEpochNanoTo", "__unixEpochGroup", "__unixEpochGroupAlias":
		return strings.HasPrefix(rest, "(")
	}
	return false
}

// builtIn are Grafana's own variables.
// See https://grafana.com/docs/grafana/latest/dashboards/variables/add-template-variables/#global-variables.
func (s *scope) builtIn(name, field, as string) (string, error) {
	switch name {
	case "__dashboard":
		if field == "uid" {
			return s.uid, nil
		}
		return s.title, nil
	case "__from", "__to", "__range", "__range_s", "__range_ms", "__interval", "__interval_ms":
	case "__rate_interval", "__rate_interval_ms":
		if s.lang != promQL {
			return "", errUnknownVariable
		}
	case "__auto": // Loki's own
		if s.lang != logQL {
			return "", errUnknownVariable
		}
		name = "__interval"
		if s.instant {
			name = "__range"
		}
	default:
		return "", errUnknownVariable
	}
	r, err := s.times()
	if err != nil {
		return "", err
	}
	step, rate, err := s.steps()
	if err != nil {
		return "", err
	}
	switch name {
	case "__from":
		return formatTime(r.from, as)
	case "__to":
		return formatTime(r.to, as)
	case "__range":
		return formatInt(r.length()/time.Second) + "s", nil
	case "__range_s":
		return formatInt(r.length() / time.Second), nil
	case "__range_ms":
		return formatInt(r.length().Milliseconds()), nil
	case "__interval":
		return formatInterval(step), nil
	case "__interval_ms":
		return formatInt(step.Milliseconds()), nil
	case "__rate_interval":
		return formatInterval(rate), nil
	}
	return formatInt(rate.Milliseconds()), nil
}

// formatTime writes a moment as ${__from:date:…} asks.
func formatTime(t time.Time, as string) (string, error) {
	switch as {
	case "", "date:ms", "raw":
		return formatInt(t.UnixMilli()), nil
	case "date:seconds":
		return formatInt(t.Unix()), nil
	case "date", "date:iso":
		return t.UTC().Format("2006-01-02T15:04:05.000Z"), nil
	}
	return "", fmt.Errorf("is written in the format %q, which is not known here: use date:iso or date:seconds", plain(as))
}

// panelPoints is how many points a panel shows that does not say: a browser takes
// its width in pixels, and Grafana 500 where it has none.
const panelPoints = 500

// steps are the time between two points of the panel ($__interval), and the
// range that a rate needs ($__rate_interval), as Grafana's Prometheus data
// source has them.
func (s *scope) steps() (step, rate time.Duration, err error) {
	r, err := s.times()
	if err != nil {
		return 0, 0, err
	}
	n := int64(s.model.MaxDataPoints)
	if n <= 0 {
		n = panelPoints
	}
	step = calculate(r.length(), n, s.least)
	rate = max(step+s.scrape, 4*s.scrape)
	if s.byRate {
		return rate, rate, nil
	}
	return step * time.Duration(s.factor), rate, nil
}

// defaultScrape is what Grafana takes where a Prometheus data source does not
// say how often it scrapes.
const defaultScrape = "15s"

// maxFactor bounds by how much a query may multiply its step.
const maxFactor = 1_000

// settleSteps finds the least interval of a query: its own, the panel's, or
// the data source's.
func (s *scope) settleSteps(t *target, d *datasource) error {
	own, _ := t.raw["interval"].(string)
	if f, _ := t.raw["intervalFactor"].(float64); s.lang == promQL && f > 1 && f <= maxFactor {
		s.factor = int64(f)
	}
	kind, _ := t.raw["queryType"].(string)
	alone, _ := t.raw["instant"].(bool)
	s.instant = kind == "instant" || kind == "" && alone
	scrape := or(d.scrapeInterval(), defaultScrape)
	var err error
	if s.scrape, err = s.interval(scrape); err != nil {
		return fmt.Errorf("its data source's interval: %w", err)
	}
	given := or(own, string(s.model.Interval))
	switch {
	case given == "$__rate_interval" || given == "${__rate_interval}", given == "" && s.lang == promQL:
		s.least, s.byRate = s.scrape, given != ""
		return nil
	case given == "":
		s.least = time.Millisecond
		return nil
	}
	if s.least, err = s.interval(given); err != nil {
		return fmt.Errorf("its least interval: %w", err)
	}
	if s.lang == promQL {
		s.scrape = s.least
	}
	return nil
}

// interval reads one that may be written as a variable, or with a > before it.
func (s *scope) interval(text string) (time.Duration, error) {
	filled, err := s.fill(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), ">")))
	if err != nil {
		return 0, err
	}
	return parseInterval(filled)
}
