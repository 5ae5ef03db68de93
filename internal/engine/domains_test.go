package engine

import (
	"slices"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// A target counts in the failure domains of each action on it that is remembered
// or stands, not only of the last one: another policy's does not take it out.
func TestDomainsOfATargetAddUp(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	lately, longAgo := []time.Time{now.Add(-time.Minute)}, []time.Time{now.Add(-longestWindow)}
	const eu, us, budget = "blast/databases/eu", "blast/databases/us", "policy/failover"
	for name, c := range map[string]struct {
		was    signalbox.TargetState
		spends []string
		want   []string
	}{
		"first":                     {spends: []string{budget, eu}, want: []string{eu}},
		"of none, after one":        {was: signalbox.TargetState{Acted: lately, Domains: []string{eu}}, spends: []string{budget}, want: []string{eu}},
		"of another":                {was: signalbox.TargetState{Acted: lately, Domains: []string{us}}, spends: []string{eu}, want: []string{eu, us}},
		"of the same":               {was: signalbox.TargetState{Acted: lately, Domains: []string{eu}}, spends: []string{eu, budget}, want: []string{eu}},
		"what is forgotten":         {was: signalbox.TargetState{Acted: longAgo, Domains: []string{us}}, spends: []string{eu}, want: []string{eu}},
		"what is old, and stands":   {was: signalbox.TargetState{Acted: longAgo, Thrown: "a-1", Domains: []string{us}}, spends: []string{eu}, want: []string{eu, us}},
		"none, where none ever was": {was: signalbox.TargetState{Acted: lately}, spends: []string{budget}},
	} {
		if got := domains(&c.was, c.spends, now); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
