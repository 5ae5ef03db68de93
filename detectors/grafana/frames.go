package grafana

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
)

// Bounds of what is taken as an answer.
const (
	maxSeries = 20_000
	maxRows   = 500_000
)

// results is the answer of POST /api/ds/query, in the form that the plugin
// SDK writes it: https://grafana.com/developers/plugin-tools/key-concepts/data-frames.
type results struct {
	Results map[string]result `json:"results"`
}

type result struct {
	Status int     `json:"status"`
	Error  string  `json:"error"`
	Frames []frame `json:"frames"`
}

type frame struct {
	Schema struct {
		Meta *struct {
			Notices []struct {
				Severity json.RawMessage `json:"severity"`
				Text     string          `json:"text"`
			} `json:"notices"`
		} `json:"meta"`
		Fields []struct {
			Name   string            `json:"name"`
			Type   string            `json:"type"`
			Labels map[string]string `json:"labels"`
		} `json:"fields"`
	} `json:"schema"`
	Data struct {
		Values   [][]json.RawMessage `json:"values"`
		Entities []*entities         `json:"entities"`
		Nanos    [][]int64           `json:"nanos"`
	} `json:"data"`
}

// entities are the rows whose values JSON can't write; they stand as null.
type entities struct {
	NaN    []int `json:"NaN"`
	Inf    []int `json:"Inf"`
	NegInf []int `json:"NegInf"`
}

var (
	errFrames  = errors.New("the answer is not made of data frames as Grafana writes them")
	errNoTime  = errors.New("the answer has no time of its values, so that their age can't be known: let the query select a time")
	errNumbers = errors.New("the answer has no field of numbers")
)

// redact leaves out of an answer's words what they may repeat of credentials.
func (r *result) redact(f func(string) string) {
	r.Error = f(r.Error)
	for i := range r.Frames {
		if m := r.Frames[i].Schema.Meta; m != nil {
			for j := range m.Notices {
				m.Notices[j].Text = f(m.Notices[j].Text)
			}
		}
	}
}

// samples takes the newest value of each series that is over by now, with its own
// time, and what the answer says of data that is missing.
func (r *result) samples(now time.Time) (samples []signalbox.Sample, warnings []string, err error) {
	if r.Error != "" || r.Status >= 400 {
		return nil, nil, fmt.Errorf("the data source says: %s", or(plain(r.Error), fmt.Sprintf("status %d", r.Status)))
	}
	c := &collector{now: now, series: map[string]bool{}}
	for i := range r.Frames {
		f := &r.Frames[i]
		warnings = append(warnings, f.warnings()...)
		if len(f.Schema.Fields) == 0 {
			continue
		}
		if err := c.frame(f); err != nil {
			return nil, nil, err
		}
	}
	return c.samples, warnings, nil
}

// warnings are the notices that are more than information. Severity is a word
// in what the SDK writes, and a number in Grafana's description.
func (f *frame) warnings() []string {
	if f.Schema.Meta == nil {
		return nil
	}
	var list []string
	for _, n := range f.Schema.Meta.Notices {
		if s := string(n.Severity); s != `"info"` && s != "0" && len(list) < maxNamed {
			list = append(list, or(plain(n.Text), "a notice without text"))
		}
	}
	return list
}

// frame adds one frame: a field of times, one of numbers for each series, and
// in a long frame fields of strings, which are labels.
func (c *collector) frame(f *frame) error {
	if len(f.Data.Values) != len(f.Schema.Fields) {
		return errFrames
	}
	rows := len(f.Data.Values[0])
	at, names, numbers := -1, []int(nil), []int(nil)
	for i, field := range f.Schema.Fields {
		if len(f.Data.Values[i]) != rows {
			return errFrames
		}
		switch field.Type {
		case "time":
			if at >= 0 {
				return errors.New("the answer has several fields of times: let the query select one")
			}
			at = i
		case "number":
			numbers = append(numbers, i)
		case "string", "enum":
			names = append(names, i)
		default:
			return fmt.Errorf("the answer has a field of type %q, which is no value: let the query select a time and numbers", plain(field.Type))
		}
	}
	switch {
	case rows == 0:
		return nil
	case len(numbers) == 0:
		return errNumbers
	case at < 0:
		return errNoTime
	case len(names) > 0 && len(numbers) > 1:
		return errors.New("the answer has several fields of numbers beside fields of strings: let the query select one")
	}
	for _, i := range numbers {
		if c.rows += rows; c.rows > maxRows {
			return fmt.Errorf("the answer holds more than %d values: let the panel ask for fewer", maxRows)
		}
		if err := c.column(f, at, i, names, len(numbers) > 1); err != nil {
			return err
		}
	}
	return nil
}

// number reads one value. null is a value that is missing, and so not a number;
// it is not what JSON can't write.
func (f *frame) number(i, row int, raw json.RawMessage) (v float64, null bool, err error) {
	if string(raw) == "null" {
		if i < len(f.Data.Entities) && f.Data.Entities[i] != nil {
			v, special := f.Data.Entities[i].at(row)
			return v, !special, nil
		}
		return math.NaN(), true, nil
	}
	v, err = strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return 0, false, errFrames
	}
	return v, false, nil
}

func (e *entities) at(row int) (float64, bool) {
	for _, kind := range []struct {
		rows  []int
		value float64
	}{{e.NaN, math.NaN()}, {e.Inf, math.Inf(1)}, {e.NegInf, math.Inf(-1)}} {
		for _, r := range kind.rows {
			if r == row {
				return kind.value, true
			}
		}
	}
	return math.NaN(), false
}

// time reads one time: milliseconds, and the nanoseconds below them.
func (f *frame) time(i, row int) (time.Time, error) {
	raw := f.Data.Values[i][row]
	if string(raw) == "null" {
		return time.Time{}, errNoTime
	}
	ms, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.Abs(ms) > 1<<52 || math.IsNaN(ms) {
		return time.Time{}, errFrames
	}
	t := time.UnixMilli(int64(ms)).UTC()
	if i < len(f.Data.Nanos) && row < len(f.Data.Nanos[i]) {
		if n := f.Data.Nanos[i][row]; n >= 0 && n < 1e6 {
			t = t.Add(time.Duration(n))
		}
	}
	return t, nil
}

func (f *frame) rowLabels(labels map[string]string, names []int, row int) (map[string]string, error) {
	out := make(map[string]string, len(labels)+len(names))
	for n, v := range labels {
		out[n] = v
	}
	for _, i := range names {
		var s *string
		if err := json.Unmarshal(f.Data.Values[i][row], &s); err != nil {
			return nil, errFrames
		}
		if s != nil {
			out[httpclient.Plain(f.Schema.Fields[i].Name, 100)] = *s
		}
	}
	return out, nil
}
