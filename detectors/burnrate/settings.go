package burnrate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// Placeholder stands in a query for the range that it is asked over.
const Placeholder = "$window"

// Settings are the keys of `slo`: either good or bad beside total, or ratio.
type Settings struct {
	// Query that counts the good events over $window, as in sum(increase(requests_total{code!~"5.."}[$window])). A series of total that it lacks is Unknown.
	Good string `yaml:"good,omitempty" json:"good,omitempty"`
	// Query that counts the bad events over $window, in place of good. A series of total that it lacks had none.
	Bad string `yaml:"bad,omitempty" json:"bad,omitempty"`
	// Query that counts all events over $window, by the same labels.
	Total string `yaml:"total,omitempty" json:"total,omitempty"`
	// Query that gives the share of good events over $window, 0 to 1, in place of the counts.
	Ratio string `yaml:"ratio,omitempty" json:"ratio,omitempty"`
	// The share of events that is to be good: 99.9%.
	Objective kind.Quantity `yaml:"objective" json:"objective" jsonschema:"required"`
	// Pairs of windows; absent: the two for which the SRE workbook pages, 14.4 over 1h and 5m, and 6 over 6h and 30m.
	Windows []Window `yaml:"windows,omitempty" json:"windows,omitempty"`
}

// Window is one pair of windows, as configured.
type Window struct {
	// The long window, which shows that enough of the budget is spent.
	Long kind.Duration `yaml:"long" json:"long" jsonschema:"required"`
	// The short window, which shows that it goes on; customary is a twelfth of the long one.
	Short kind.Duration `yaml:"short" json:"short" jsonschema:"required"`
	// The burn rate that both must exceed.
	Burn float64 `yaml:"burn" json:"burn" jsonschema:"required"`
}

// workbook are the pairs for which the SRE workbook pages.
var workbook = []Pair{
	{Long: time.Hour, Short: 5 * time.Minute, Burn: 14.4},
	{Long: 6 * time.Hour, Short: 30 * time.Minute, Burn: 6},
}

// Workbook returns the pairs of windows for which the SRE workbook pages.
func Workbook() []Pair { return slices.Clone(workbook) }

// Pairs are the configured pairs of windows, or the workbook's.
func (s *Settings) Pairs() []Pair {
	if len(s.Windows) == 0 {
		return Workbook()
	}
	out := make([]Pair, len(s.Windows))
	for i, w := range s.Windows {
		out[i] = Pair{Long: w.Long.Std(), Short: w.Short.Std(), Burn: w.Burn}
	}
	return out
}

// Spans are the lengths of all windows, each once, the shortest first.
func (s *Settings) Spans() []time.Duration {
	var out []time.Duration
	for _, p := range s.Pairs() {
		out = append(out, p.Long, p.Short)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Part is one of the queries.
type Part string

// The parts, by their keys.
const (
	Good  Part = "good"
	Bad   Part = "bad"
	Total Part = "total"
	Ratio Part = "ratio"
)

// Parts are the queries that are given.
func (s *Settings) Parts() []Part {
	var out []Part
	for _, p := range []Part{Good, Bad, Total, Ratio} {
		if s.text(p) != "" {
			out = append(out, p)
		}
	}
	return out
}

func (s *Settings) text(p Part) string {
	switch p {
	case Good:
		return s.Good
	case Bad:
		return s.Bad
	case Total:
		return s.Total
	}
	return s.Ratio
}

// Query is a part's query over a window.
func (s *Settings) Query(p Part, window time.Duration) string {
	return strings.ReplaceAll(s.text(p), Placeholder, kind.Duration(window).String())
}

// Validate reports every rule that the settings break. check says what is wrong
// with a query of the source's language, in which the window is filled in; nil:
// nothing.
func (s *Settings) Validate(fail kind.Fail, check func(query string) error) {
	switch given := fmt.Sprint(s.Parts()); given {
	case fmt.Sprint([]Part{Good, Total}), fmt.Sprint([]Part{Bad, Total}), fmt.Sprint([]Part{Ratio}):
	default:
		fail("slo", "must have good and total, or bad and total, or ratio alone", strings.Trim(given, "[]"))
	}
	for _, p := range s.Parts() {
		path := "slo." + string(p)
		if !strings.Contains(s.text(p), Placeholder) {
			fail(path, "must say "+Placeholder+" where its range stands, as in increase(requests_total["+Placeholder+"])", s.text(p))
			continue
		}
		if err := check(s.Query(p, time.Hour)); err != nil {
			fail(path, err.Error(), s.text(p))
		}
	}
	if o := s.Objective; o.Unit != signalbox.Number || o.Value <= 0 || o.Value >= 1 {
		fail("slo.objective", "must be a share between 0% and 100%, like 99.9%", o.Text)
		return
	}
	for i, w := range s.Windows {
		s.validateWindow(fail, fmt.Sprintf("slo.windows[%d]", i), w)
	}
	if most := 1 / (1 - s.Objective.Value); len(s.Windows) == 0 && most <= workbook[0].Burn {
		fail("slo.windows", fmt.Sprintf("must be given: with this objective nothing burns faster than %s, so that the workbook's %s is never exceeded", number(most), number(workbook[0].Burn)), nil)
	}
}

// mostWindow is the longest window: a month of it is asked for at each round.
const mostWindow = 31 * 24 * time.Hour

func (s *Settings) validateWindow(fail kind.Fail, path string, w Window) {
	if w.Short < kind.Duration(time.Minute) {
		fail(path+".short", "must be at least 1m", w.Short)
	}
	if w.Long <= w.Short {
		fail(path+".long", "must be longer than short ("+w.Short.String()+")", w.Long)
	}
	if w.Long.Std() > mostWindow {
		fail(path+".long", "must be at most 31d", w.Long)
	}
	if most := 1 / (1 - s.Objective.Value); !(w.Burn > 0) || w.Burn >= most {
		fail(path+".burn", fmt.Sprintf("must be above 0 and below %s, the fastest that this objective's budget can burn", number(most)), w.Burn)
	}
}
