package sandbox

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// maxEpoch bounds a time in seconds, so that it fits into milliseconds of an
// int64 with room to spare.
const maxEpoch = 1e15

// parsePromTime reads a time as Prometheus' API takes it: seconds since the
// epoch, to the millisecond, or RFC 3339. Empty text means absent, which is an
// error where absent is zero.
func parsePromTime(text string, absent time.Time) (time.Time, error) {
	if text == "" && !absent.IsZero() {
		return absent, nil
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(seconds) < maxEpoch {
		return time.UnixMilli(int64(math.Round(seconds * 1000))).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("cannot parse %q to a valid timestamp", text)
}

// parsePromDuration reads a duration as Prometheus' API takes it: seconds, or
// with units ("1h30m").
func parsePromDuration(text string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if ns := seconds * float64(time.Second); math.Abs(ns) < math.MaxInt64 {
			return time.Duration(ns), nil
		}
		return 0, fmt.Errorf("cannot parse %q to a valid duration. It overflows int64", text)
	}
	d, err := model.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("cannot parse %q to a valid duration", text)
	}
	return time.Duration(d), nil
}

func metricOf(ls labels.Labels) model.Metric {
	m := make(model.Metric, ls.Len())
	ls.Range(func(l labels.Label) { m[model.LabelName(l.Name)] = model.LabelValue(l.Value) })
	return m
}
