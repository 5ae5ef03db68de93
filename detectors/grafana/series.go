package grafana

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// collector gathers one sample of each series over frames.
type collector struct {
	now     time.Time
	samples []signalbox.Sample
	series  map[string]bool // those of samples
	rows    int
}

// points are the values of one series, as they come.
type points struct {
	id     string
	labels map[string]string
	list   []point
}

type point struct {
	at    time.Time
	value float64 // NaN where there is none
	null  bool
}

// column adds the series of one field of numbers.
func (c *collector) column(f *frame, at, i int, names []int, several bool) error {
	labels := maps.Clone(f.Schema.Fields[i].Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	if several && len(labels) == 0 {
		labels["field"] = f.Schema.Fields[i].Name
	}
	var found []*points
	byID := map[string]*points{}
	own := &points{id: kind.SeriesID(labels), labels: labels}
	for row, raw := range f.Data.Values[i] {
		v, null, err := f.number(i, row, raw)
		if err != nil {
			return err
		}
		t, err := f.time(at, row)
		if err != nil {
			return err
		}
		of := own
		if len(names) > 0 {
			of = &points{}
			if of.labels, err = f.rowLabels(labels, names, row); err != nil {
				return err
			}
			of.id = kind.SeriesID(of.labels)
		}
		if first := byID[of.id]; first != nil {
			of = first
		} else {
			byID[of.id], found = of, append(found, of)
		}
		of.list = append(of.list, point{t, v, null})
	}
	for _, p := range found {
		if err := c.add(p, several); err != nil {
			return err
		}
	}
	return nil
}

// add takes the sample of one series; each may come once only. Where fields
// stand beside others null is what a join leaves, unless there is nothing else.
func (c *collector) add(p *points, joined bool) error {
	if c.series[p.id] {
		return errors.New("the answer has two series with the same labels, which can't be told apart")
	}
	if len(c.samples) == maxSeries {
		return fmt.Errorf("the answer holds more than %d series: aggregate in the query", maxSeries)
	}
	list := p.list
	if joined {
		if there := slices.DeleteFunc(slices.Clone(list), func(v point) bool { return v.null }); len(there) > 0 {
			list = there
		}
	}
	newest, err := newest(list, c.now)
	if err != nil {
		return err
	}
	c.series[p.id] = true
	c.samples = append(c.samples, signalbox.Sample{Labels: p.labels, Value: newest.value, At: newest.at})
	return nil
}

// newest is the newest value that is whole. Values that stand on a grid are
// gathered over its steps (a sum a minute), and the one whose step is not over is
// still becoming: the one before it counts.
func newest(list []point, now time.Time) (point, error) {
	slices.SortStableFunc(list, func(a, b point) int { return a.at.Compare(b.at) })
	n := len(list)
	for i := max(1, n-2); i < n; i++ {
		if list[i].at.Equal(list[i-1].at) {
			return point{}, errors.New("the answer has two values of one series at one time: let the query tell its series apart")
		}
	}
	if step := grid(list[:n-1]); step > 0 && now.Sub(list[n-1].at) < step {
		return list[n-2], nil
	}
	return list[n-1], nil
}

// grid is the step of which all distances between times are whole multiples; 0
// where there is none. The times are in order.
func grid(list []point) time.Duration {
	var step time.Duration
	for i := 1; i < len(list); i++ {
		if d := list[i].at.Sub(list[i-1].at); d > 0 && (step == 0 || d < step) {
			step = d
		}
	}
	for i := 1; i < len(list); i++ {
		if list[i].at.Sub(list[i-1].at)%max(step, 1) != 0 {
			return 0
		}
	}
	return step
}
