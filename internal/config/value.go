package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

// names is a list of names, or a single one.
type names []string

// rate is a count in a sliding window.
type rate policy.Rate

// maxWindow is the longest window of a budget: what was spent is kept that long.
const maxWindow = 31 * 24 * time.Hour

// sources is a number of independent sources, written "2 sources".
type sources int

// UnmarshalText reads "2 sources".
func (n *sources) UnmarshalText(b []byte) error {
	count, word, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	v, err := strconv.Atoi(count)
	if err != nil || v < 1 || v > 9 || word != "sources" && (v != 1 || word != "source") {
		return errors.New("must be a number of sources from 1 to 9, like 2 sources")
	}
	*n = sources(v)
	return nil
}

// MarshalText writes "2 sources".
func (n sources) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%d sources", int(n)), nil }

var errRate = errors.New("must be a count in a window of at most 31 days, like 3/day, 10/hour, 7/week or 5/30m")

// UnmarshalText reads "3/day".
func (r *rate) UnmarshalText(b []byte) error {
	text, burst, bursts := strings.Cut(string(b), " burst ")
	count, window, ok := strings.Cut(text, "/")
	n, err := strconv.Atoi(strings.TrimSpace(count))
	if !ok || err != nil || n < 1 || n > 10_000 {
		return errRate
	}
	per, err := parseWindow(strings.TrimSpace(window))
	if err != nil || per <= 0 || per > maxWindow {
		return errRate
	}
	*r = rate{N: n, Per: per}
	if bursts {
		if r.Burst, err = strconv.Atoi(strings.TrimSpace(burst)); err != nil || r.Burst < 1 || r.Burst > n {
			return fmt.Errorf("must have a burst from 1 to %d, like %s burst 1", n, text)
		}
	}
	return nil
}

// share is a part of a whole, 0 to 1.
type share float64

// UnmarshalText reads "20%".
func (s *share) UnmarshalText(b []byte) error {
	number, percent := strings.CutSuffix(strings.TrimSpace(string(b)), "%")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !percent || !(v >= 0 && v <= 100) {
		return errors.New("must be a share from 0% to 100%, like 20%")
	}
	*s = share(v / 100)
	return nil
}

func parseWindow(s string) (time.Duration, error) {
	switch s {
	case "minute":
		return time.Minute, nil
	case "hour":
		return time.Hour, nil
	case "day":
		return 24 * time.Hour, nil
	case "week":
		return 7 * 24 * time.Hour, nil
	}
	d, err := model.ParseDuration(s)
	return time.Duration(d), err
}

func rates(given []rate) []policy.Rate {
	out := make([]policy.Rate, len(given))
	for i, r := range given {
		out[i] = policy.Rate(r)
	}
	return out
}

// oneOf reports a word that is not among those that a type has; "" is silent.
func oneOf[T ~string](s spot, word T, words ...T) {
	if word == "" {
		return
	}
	list := make([]string, len(words))
	for i, w := range words {
		if w == word {
			return
		}
		list[i] = string(w)
	}
	rule := "must be " + strings.Join(list, " or ")
	if len(list) > 2 {
		last := len(list) - 1
		rule = fmt.Sprintf("must be %s or %s", strings.Join(list[:last], ", "), list[last])
	}
	s.fail(rule, string(word))
}

var undoModes = []signalbox.UndoMode{signalbox.UndoAuto, signalbox.UndoAsk, signalbox.UndoNever}

// maxName bounds a name, so that it fits wherever it is shown.
const maxName = 63

// nameRule reports a name that is not one; it returns whether it is.
func nameRule(s spot, name string) bool {
	ok := name != "" && len(name) <= maxName
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		ok = letter || i > 0 && (c == '_' || c == '-' || c == '.')
	}
	if !ok {
		s.fail(fmt.Sprintf("must be a name of letters, digits, '.', '_' and '-', beginning with a letter or digit, of at most %d bytes", maxName), name)
	}
	return ok
}
