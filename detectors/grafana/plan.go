package grafana

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/signalbox/signalbox/internal/freshness"
)

// plan is what is asked for one panel at one moment, all variables filled in.
type plan struct {
	datasource *datasource
	times      timeRange
	step       time.Duration    // between two points of the panel
	queries    []map[string]any // the panel's own first, then what tells the age of its samples
	promql     *freshness.Query // of a data source with PromQL; else nil
	factor     float64          // from the panel's unit to the one that is wanted
	window     time.Duration    // how far back of its moment a value reaches
	facts      facts
}

// definition is what a panel is resolved from.
type definition struct {
	board   *board
	panel   panel
	library *element // nil: it is no library panel
	sources []datasource
}

// plan resolves a panel at a moment. It is pure. Its error says what can't be
// known for certain, and what to write instead.
func (d *definition) plan(ref reference, at time.Time) (*plan, error) {
	m, err := d.model()
	if err != nil {
		return nil, err
	}
	t, err := m.pick(ref.Query)
	if err != nil {
		return nil, err
	}
	from, err := m.source(t)
	if err != nil {
		return nil, err
	}
	s, err := newScope(&d.board.Dashboard, m, ref, d.sources, at)
	if err != nil {
		return nil, err
	}
	p := &plan{}
	if p.datasource, err = resolveSource(d.sources, from, s.fill); err != nil {
		return nil, err
	}
	s.lang = languageOf(p.datasource.Type)
	if err := s.unfiltered(p.datasource); err != nil {
		return nil, err
	}
	unit, err := m.panelUnit(t.RefID)
	if err != nil {
		return nil, err
	}
	if p.factor, err = reconcile(unit, ref.Unit); err != nil {
		return nil, err
	}
	if err := p.write(s, t, at); err != nil {
		return nil, err
	}
	p.facts = factsOf(d, m, t, p.datasource, unit, s.used)
	return p, nil
}

func (d *definition) model() (*panelModel, error) {
	if d.library != nil {
		return readModel(d.panel, d.library.Result.Model)
	}
	return readModel(d.panel, nil)
}

// unfiltered refuses dashboards whose ad hoc filters change each query on the
// way from the browser.
func (s *scope) unfiltered(d *datasource) error {
	for _, v := range s.variables {
		none := func(raw []byte) bool { return len(raw) == 0 || string(raw) == "null" || string(raw) == "[]" }
		if v.Type != "adhoc" && v.Type != "groupby" || none(v.Filters) && none(v.Base) && len(v.Current.Value.list) == 0 {
			continue
		}
		name, err := s.fill(or(v.Datasource.UID, v.Datasource.Name))
		if err == nil && name != "" && name != d.UID && name != d.Name {
			continue
		}
		return fmt.Errorf("the dashboard is saved with filters (variable $%s), which change its queries in the browser only: save it without, or write them into the query", plain(string(v.Name)))
	}
	return nil
}

// write makes the queries that are sent.
func (p *plan) write(s *scope, t *target, at time.Time) error {
	if err := s.settleSteps(t, p.datasource); err != nil {
		return err
	}
	if err := p.settleTimes(s, at); err != nil {
		return err
	}
	filled, err := s.fillAll(t.raw, 0)
	if err != nil {
		return err
	}
	q, ok := filled.(map[string]any)
	if !ok {
		return errEmptyQuery
	}
	q["datasource"] = map[string]any{"type": p.datasource.Type, "uid": p.datasource.UID}
	q["intervalMs"], q["maxDataPoints"] = p.step.Milliseconds(), int64(panelPoints)
	if n := int64(s.model.MaxDataPoints); n > 0 {
		q["maxDataPoints"] = n
	}
	q["refId"] = or(t.RefID, "A")
	p.queries = []map[string]any{q}
	switch s.lang {
	case promQL:
		return p.writePromQL(q)
	case logQL:
		return p.writeLogQL(q)
	}
	p.window = p.times.length() // what it gathers is not known here
	return nil
}

// anyRange is asked for where the range is not known and nothing depends on it.
const anyRange = time.Hour

// settleTimes finds the range. A question about one moment needs none, unless a
// variable says it.
func (p *plan) settleTimes(s *scope, at time.Time) error {
	r, err := s.times()
	switch {
	case err == nil:
		p.times = r
		p.step, _, err = s.steps()
		return err
	case s.lang == promQL, s.lang == logQL:
		p.times, p.step = timeRange{from: at.Add(-anyRange), to: at}, max(s.least, time.Second)
		return nil
	}
	return err
}

var errEmptyQuery = errors.New("its query is empty")

// writePromQL asks for the value at one moment, and for the times of the
// samples behind it.
func (p *plan) writePromQL(q map[string]any) error {
	text, _ := q["expr"].(string)
	if format, _ := q["format"].(string); format == "heatmap" {
		return errors.New("its query is for a heatmap, which has buckets and no values: write a query that gives the value")
	}
	if strings.TrimSpace(text) == "" {
		return errEmptyQuery
	}
	parsed, err := freshness.Parse(text)
	switch {
	case err != nil:
		return fmt.Errorf("its query %w", err)
	case freshness.EndsInComparison(text):
		return fmt.Errorf("its query %w", freshness.ErrComparison)
	}
	p.promql, p.window = parsed, parsed.Window
	q["instant"], q["range"], q["format"] = true, false, "time_series"
	for i, text := range parsed.Questions() {
		p.queries = append(p.queries, map[string]any{
			"refId": ageRef(i), "expr": text, "instant": true, "range": false, "format": "time_series",
			"datasource": q["datasource"], "intervalMs": q["intervalMs"], "maxDataPoints": q["maxDataPoints"],
		})
	}
	return nil
}

// ageRef is the refId of a question about the age of samples.
func ageRef(i int) string { return "age-" + formatInt(i) }

// writeLogQL asks for the value at one moment. It is as old as the moment: a
// metric of logs counts up to then.
func (p *plan) writeLogQL(q map[string]any) error {
	text, _ := q["expr"].(string)
	if strings.TrimSpace(text) == "" {
		return errEmptyQuery
	}
	var err error
	if p.window, err = logWindow(text); err != nil {
		return err
	}
	q["queryType"], q["instant"], q["range"] = "instant", true, false
	return nil
}

// maxNesting is how deep a query's own keys may be nested.
const maxNesting = 20

// fillAll fills variables into all strings of a query.
func (s *scope) fillAll(v any, depth int) (any, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("its query is nested more than %d deep", maxNesting)
	}
	var err error
	switch v := v.(type) {
	case string:
		return s.fill(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			if out[i], err = s.fillAll(v[i], depth+1); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			if depth == 0 && unasked(k) {
				continue
			}
			if out[k], err = s.fillAll(v[k], depth+1); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

// unasked are keys of a query that are for the browser, or written anew.
func unasked(key string) bool {
	switch key {
	case "hide", "key", "legendFormat", "interval", "intervalFactor", "step", "exemplar", "editorMode", "datasource", "refId", "alias":
		return true
	}
	return false
}
