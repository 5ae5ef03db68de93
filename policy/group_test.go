package policy

import (
	"testing"
	"time"
)

func TestStorm(t *testing.T) {
	made := func(n int, detector string, ago time.Duration) (list []Made) {
		for range n {
			list = append(list, Made{Detector: detector, At: sentAt.Add(-ago)})
		}
		return list
	}
	for name, c := range map[string]struct {
		lately []Made
		want   string
	}{
		"quiet":                      {nil, ""},
		"four of one detector":       {made(4, "lag", time.Minute), ""},
		"five of one detector":       {made(5, "lag", time.Minute), "storm/db/lag"},
		"five of another":            {made(5, "queue", time.Minute), ""},
		"nine in all":                {append(made(4, "lag", 0), made(5, "queue", 0)...), ""},
		"ten in all":                 {append(made(5, "lag", 0), made(5, "queue", 0)...), "storm/db"},
		"five, long ago":             {made(5, "lag", 5*time.Minute), ""},
		"five, by a clock gone back": {made(5, "lag", -time.Minute), "storm/db/lag"},
		"far in the future":          {made(5, "lag", -time.Hour), ""},
	} {
		if got := Storm("db", "lag", c.lately, sentAt); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	if got := Lately(append(made(2, "a", 6*time.Minute), made(3, "b", time.Minute)...), sentAt); len(got) != 3 || got[0].Detector != "b" {
		t.Errorf("lately: got %v", got)
	}
}
