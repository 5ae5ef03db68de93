package statuspage

import (
	"slices"
	"strings"
)

// words are what is said of a component, or of a whole page, with how bad it
// is: 0 is well, and equal numbers are about equally bad on either scale.
type words map[string]float64

// The words for components are those of the vendor's API description; the
// indicators those of its public API, with maintenance, which it does not name
// and its pages use.
func componentWords() words {
	return words{"operational": 0, "under_maintenance": 1, "degraded_performance": 2, "partial_outage": 3, "major_outage": 4}
}

func pageWords() words {
	return words{"none": 0, "maintenance": 1, "minor": 2, "major": 3, "critical": 4}
}

// well is the word for health.
func (w words) well() string {
	for word, bad := range w {
		if bad == 0 {
			return word
		}
	}
	return ""
}

// badFrom lists the words from a degree on, in their order.
func (w words) badFrom(least float64) []string {
	var list []string
	for word, bad := range w {
		if bad >= least {
			list = append(list, word)
		}
	}
	slices.SortFunc(list, func(a, b string) int { return int(w[a] - w[b]) })
	return list
}

func (w words) String() string { return strings.Join(w.badFrom(0), ", ") }
