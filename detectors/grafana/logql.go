package grafana

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	prommodel "github.com/prometheus/common/model"
)

var (
	literals   = regexp.MustCompile("\"(?:[^\"\\\\]|\\\\.)*\"|`[^`]*`")
	logRanges  = regexp.MustCompile(`\[([^\]]*)\]`)
	logOffsets = regexp.MustCompile(`\boffset\b\s*([^\s)]*)`)
	logVector  = regexp.MustCompile(`\bvector\s*\(`)
)

// logWindow is how far back a LogQL query reaches: its longest range and its
// longest offset. Only metric queries have one.
func logWindow(text string) (time.Duration, error) {
	text = literals.ReplaceAllString(text, `""`)
	if logVector.MatchString(text) {
		return 0, errors.New("its query fills gaps by vector(), which looks like health where nothing is measured: leave it out")
	}
	ranges := logRanges.FindAllStringSubmatch(text, -1)
	if len(ranges) == 0 {
		return 0, errors.New("its query gives log lines, which have no value: count them, as in count_over_time({…}[5m])")
	}
	reach, err := longest(ranges)
	if err != nil {
		return 0, err
	}
	offset, err := longest(logOffsets.FindAllStringSubmatch(text, -1))
	return reach + offset, err
}

func longest(found [][]string) (most time.Duration, err error) {
	for _, m := range found {
		d, err := prommodel.ParseDuration(m[1])
		if err != nil || time.Duration(d) > longestRange {
			return 0, fmt.Errorf("its query has a range or an offset %q, which is not understood here: write it like 5m", plain(m[1]))
		}
		most = max(most, time.Duration(d))
	}
	return most, nil
}
