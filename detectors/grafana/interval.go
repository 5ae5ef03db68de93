package grafana

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// timeRange is what a panel looks at.
type timeRange struct{ from, to time.Time }

func (r timeRange) length() time.Duration { return r.to.Sub(r.from) }

// longestRange is how far back a panel may look.
const longestRange = 366 * 24 * time.Hour

var (
	errRange  = errors.New("its time range can't be told for certain: let the dashboard be saved with a relative one that ends now, like now-6h to now")
	relative  = regexp.MustCompile(`^now-([0-9]{1,6})(s|m|h|d|w)$`)
	duration  = regexp.MustCompile(`^([0-9]{1,9})(ms|s|m|h|d|w|y)$`)
	unitSizes = map[string]time.Duration{
		"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour,
		"d": 24 * time.Hour, "w": 7 * 24 * time.Hour, "y": 365 * 24 * time.Hour,
	}
)

// rangeAt is the saved range of a dashboard, ending at a moment. override is
// the panel's own ("6h"), where it has one.
func rangeAt(from, to, override string, at time.Time) (timeRange, error) {
	if override != "" {
		from = "now-" + strings.TrimPrefix(override, "now-")
		to = "now"
	}
	m := relative.FindStringSubmatch(from)
	if m == nil || to != "now" {
		return timeRange{}, errRange
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n == 0 || time.Duration(n) > longestRange/unitSizes[m[2]] {
		return timeRange{}, errRange
	}
	return timeRange{from: at.Add(-time.Duration(n) * unitSizes[m[2]]), to: at}, nil
}

// parseInterval reads a length of time as Grafana writes it: "15s", "1m".
func parseInterval(s string) (time.Duration, error) {
	m := duration.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%q is no interval, like 30s or 5m", plain(s))
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil || n == 0 || time.Duration(n) > longestRange/unitSizes[m[2]] {
		return 0, fmt.Errorf("the interval %q is out of bounds", plain(s))
	}
	return time.Duration(n) * unitSizes[m[2]], nil
}

// rounding is Grafana's table: an interval below the first is rounded to the
// second, in milliseconds.
var rounding = [...][2]int64{
	{10, 1},
	{15, 10},
	{35, 20},
	{75, 50},
	{150, 100},
	{350, 200},
	{750, 500},
	{1_500, 1_000},
	{3_500, 2_000},
	{7_500, 5_000},
	{12_500, 10_000},
	{17_500, 15_000},
	{25_000, 20_000},
	{45_000, 30_000},
	{90_000, 60_000},
	{210_000, 120_000},
	{450_000, 300_000},
	{750_000, 600_000},
	{1_050_000, 900_000},
	{1_500_000, 1_200_000},
	{2_700_000, 1_800_000},
	{5_400_000, 3_600_000},
	{9_000_000, 7_200_000},
	{16_200_000, 10_800_000},
	{32_400_000, 21_600_000},
	{86_400_000, 43_200_000},
	{604_800_000, 86_400_000},
	{1_814_400_000, 604_800_000},
	{3_628_800_000, 2_592_000_000},
}

// calculate is the interval between two points of a range, as Grafana chooses
// it for so many points, and at least least.
func calculate(r time.Duration, points int64, least time.Duration) time.Duration {
	ms := r.Milliseconds() / max(points, 1)
	rounded := int64(365 * 24 * time.Hour / time.Millisecond)
	for _, row := range rounding {
		if ms < row[0] {
			rounded = row[1]
			break
		}
	}
	return max(time.Duration(rounded)*time.Millisecond, least)
}

// formatInterval writes an interval in its largest whole unit, as Grafana does.
func formatInterval(d time.Duration) string {
	for _, u := range []string{"d", "h", "m", "s"} {
		if d >= unitSizes[u] && d%unitSizes[u] == 0 {
			return formatInt(d/unitSizes[u]) + u
		}
	}
	return formatInt(d.Milliseconds()) + "ms"
}
