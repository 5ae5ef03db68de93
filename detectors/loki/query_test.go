package loki

import (
	"strings"
	"testing"
	"time"
)

func TestParseValue(t *testing.T) {
	for _, c := range []struct {
		text   string
		want   string // of the error; "": it is taken
		window time.Duration
	}{
		{`rate({app="psp"}[5m])`, "", 5 * time.Minute},
		{`sum by (env) (count_over_time({app="psp"} |= "a)b]}" [1h30m] offset 10m))`, "", 100 * time.Minute},
		{"sum(rate({app=`p\"(`} |~ `[0-9]+ \\` [1m])) # ) ] } \"\n / sum(rate({app=\"psp\"}[2m]))", "", 2 * time.Minute},
		{`quantile_over_time(0.99, {app="psp"} | json | took > 5s | status != 200 | unwrap took [5m]) by (env)`, "", 5 * time.Minute},
		{`sum(rate({app="psp"} |> "<_> failed" != "x" !~ "y" [5m])) > bool 5`, "", 5 * time.Minute},
		{`sum(rate({a="b"}[5m])) > 5 or vector(0)`, "", 5 * time.Minute},
		{"", "must be LogQL", 0},
		{" \n", "must be LogQL", 0},
		{`{app="psp"}`, "must count over a range", 0},
		{`1 + 1`, "must count over a range", 0},
		{`rate({app="psp"}[5m]`, "must close each (", 0},
		{`rate({app="psp"[5m])`, "must not have ) without (", 0},
		{`rate({app="psp"}[5m]))`, "must not have ) without (", 0},
		{`rate({app="psp}[5m])`, `must close each "`, 0},
		{"rate({app=`psp}[5m])", "must close each `", 0},
		{`rate({app="ps\"}[5m])`, `must close each "`, 0},
		{`rate({app="psp"}[5m)`, "must close each [", 0},
		{`rate({app="psp"}])`, "must not have ] without [", 0},
		{`rate({app="psp"}[five])`, "must have a duration greater than 0", 0},
		{`rate({app="psp"}[0s])`, "must have a duration greater than 0", 0},
		{`rate({app="psp"}[5m] offset -1m)`, "must not use a negative offset", 0},
		{`rate({app="psp"}[5m] offset 1.5h)`, "must have a duration after offset", 0},
		{`rate({app="psp"}[2y])`, "must not reach further back", 0},
		{"rate({app=\"psp\"}[5m])\x00", "without control characters", 0},
		{strings.Repeat("(", 5000), "must not nest deeper", 0},
		{strings.Repeat(" ", maxQuery) + "x", "must have at most", 0},
	} {
		s, err := parseValue(c.text)
		switch {
		case c.want == "" && (err != nil || s.window != c.window):
			t.Errorf("%q: %v, window %s, want %s", c.text, err, s.window, c.window)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%.60q: %v, want an error with %q", c.text, err, c.want)
		}
	}
}

func TestEndsInComparison(t *testing.T) {
	const rate = `sum by (a) (rate({app="psp"} != "x" [5m]))`
	for text, want := range map[string]bool{
		rate:                                  false,
		rate + ` > 5`:                         true,
		`5 <= ` + rate:                        true,
		`((` + rate + `) != 0)`:               true,
		rate + `>bool 5`:                      false,
		rate + ` > bool 5 > 3`:                true,
		rate + ` > 5 or vector(0)`:            false,
		rate + ` and (` + rate + ` > 5)`:      false,
		`(` + rate + ` > 5) / (` + rate + `)`: false,
		`sum(` + rate + ` > 5)`:               false,
		`label_replace(` + rate + `, "a", "> 5", "b", "==")`: false,
		rate + " # > 5": false,
	} {
		if s, err := scan(text); err != nil || s.comparison != want {
			t.Errorf("%s: %v, %v, want %v", text, s.comparison, err, want)
		}
	}
}

func TestParseLines(t *testing.T) {
	for text, want := range map[string]string{
		`{app="psp"}`: "",
		` # first` + "\n" + `{app="psp"} |= "webhook failed" | json | status >= 500`: "",
		`{app="psp"} |~ "[5m]"`: "",
		"":                      "must be LogQL",
		`app="psp"`:             "must begin with a selector",
		`rate({app="psp"}[5m])`: "must begin with a selector",
		`{app="psp"}[5m]`:       "must not have a range",
		`{app="psp"`:            "must close each {",
	} {
		if err := parseLines(text); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Whatever a query is, reading it ends, and what is taken has its brackets
// closed.
func FuzzQuery(f *testing.F) {
	f.Add(`sum by (env) (count_over_time({app="psp"} |= "a)b]}" [1h30m] offset 10m)) > 5`)
	f.Add("{a=`b`} # x")
	f.Add("((((")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := scan(text)
		if err == nil && (s.window < 0 || s.window > farthest || s.ranges == 0 && s.window > farthest) {
			t.Errorf("%q: %+v", text, s)
		}
	})
}
