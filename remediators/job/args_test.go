package job

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/items"
	"github.com/signalbox/signalbox/internal/kind"
)

func replay() *Job {
	return &Job{
		Source: "cluster", Namespace: "core", CronJob: "replay", ServiceAccount: "replay", Args: []string{"--only-queued", "--", "{{item}}"},
		ItemPattern: "evt_[0-9a-z]{4,8}", Timeout: defaultTimeout, TTL: defaultTTL, KeepLogLines: defaultLines,
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(j *Job)
		want   string
	}{
		"right":                    {func(*Job) {}, ""},
		"both":                     {func(j *Job) { j.Template = "x.yaml" }, "exactly one of cronjob and template"},
		"neither":                  {func(j *Job) { j.CronJob = "" }, "exactly one of cronjob and template"},
		"id as an option":          {func(j *Job) { j.Args = []string{"{{item}}"} }, `must come after "--"`},
		"id within":                {func(j *Job) { j.Args = []string{"--url=http://x/{{item}}/y"} }, "must be {{item}} as a whole"},
		"id after no equal sign":   {func(j *Job) { j.Args = []string{"--id{{item}}"} }, "must be {{item}} as a whole"},
		"id after an equal sign":   {func(j *Job) { j.Args = []string{"--id={{item}}"} }, ""},
		"two lines":                {func(j *Job) { j.Args = append(j.Args, "a\nb") }, "must be one line"},
		"no pattern":               {func(j *Job) { j.ItemPattern = "" }, "item_pattern is required with {{item}}"},
		"pattern for nothing":      {func(j *Job) { j.Args = nil }, "item_pattern must not be given without {{item}}"},
		"pattern that is none":     {func(j *Job) { j.ItemPattern = "(" }, "must be a regular expression"},
		"kept for too short":       {func(j *Job) { j.TTL = kind.Duration(1e9) }, "ttl must be between 10m and 7d"},
		"endless":                  {func(j *Job) { j.Timeout = 0 }, "timeout must be between 1m and 24h"},
		"a novel":                  {func(j *Job) { j.KeepLogLines = 5000 }, "keep_log_lines must be between 0 and 200"},
		"namespace of a traversal": {func(j *Job) { j.Namespace = "../x" }, "namespace must be the name of a namespace"},
		"approval by somebody":     {func(j *Job) { j.Approval = "maybe" }, "approval must be required or none"},
	}
	for name, c := range cases {
		j := replay()
		c.change(j)
		var said []string
		j.Validate(func(path, rule string, _ any) { said = append(said, path+" "+rule) })
		if got := strings.Join(said, "; "); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	sp := spec{Args: replay().Args, ItemPattern: replay().ItemPattern}
	many := make([]string, 5000)
	for i := range many {
		many[i] = fmt.Sprintf("evt_%04d", i)
	}
	cases := map[string]struct {
		items []string
		most  int
		args  string
		want  string
	}{
		"two":                {[]string{"evt_aaaa", "evt_bbbb"}, 100, "--only-queued -- evt_aaaa evt_bbbb", ""},
		"5,000":              {many, 100, "", "5000 ids, where 100 are allowed at once"},
		"none":               {nil, 100, "", "there are no ids"},
		"step without items": {nil, 0, "", "the step gives none"},
		"part of it matches": {[]string{"evt_aaaa;rm -rf /"}, 100, "", "does not match item_pattern"},
		"second line":        {[]string{"evt_aaaa\nx"}, 100, "", "must be one line"},
		"option":             {[]string{"--kubeconfig=x"}, 100, "", "does not match item_pattern"},
		"twice":              {[]string{"evt_aaaa", "evt_aaaa"}, 100, "", "is given twice"},
		"empty":              {[]string{""}, 100, "", "must be one line of 1 to 253 bytes"},
	}
	for name, c := range cases {
		args, why := arguments(sp, signalbox.Step{Flow: signalbox.Flow{Most: c.most}, Items: c.items})
		if strings.Join(args, " ") != c.args || c.want == "" && why != "" || !strings.Contains(why, c.want) {
			t.Errorf("%s: got %.80q, %q", name, args, why)
		}
	}
	if _, why := arguments(spec{Args: []string{"x"}}, signalbox.Step{Flow: signalbox.Flow{Most: 1}, Items: []string{"a"}}); !strings.Contains(why, "no argument of the tool takes them") {
		t.Errorf("got %q", why)
	}
	long := spec{Args: []string{"--id={{item}}"}, ItemPattern: "[a-z0-9]+"}
	for i := range many {
		many[i] = fmt.Sprintf("%0200d", i)
	}
	if _, why := arguments(long, signalbox.Step{Flow: signalbox.Flow{Most: 5000}, Items: many}); !strings.Contains(why, "lower items.most") {
		t.Errorf("got %q", why)
	}
}

// Whatever ids are given, what comes out is the args that were configured with
// whole, matching ids at their places, or nothing.
func TestArgumentsHoldOnlyWhatMatches(t *testing.T) {
	t.Parallel()
	sp := spec{Args: []string{"run", "--id={{item}}", "--", "{{item}}"}, ItemPattern: "evt_[0-9a-z]{4,8}"}
	pattern, err := items.Whole(sp.ItemPattern)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.OneOf(rapid.StringMatching("evt_[0-9a-z]{3,9}"), rapid.String())
		items := rapid.SliceOfN(id, 0, 5).Draw(t, "items")
		args, why := arguments(sp, signalbox.Step{Flow: signalbox.Flow{Most: 4}, Items: items})
		if (args == nil) != (why != "") {
			t.Fatalf("%q, %q", args, why)
		}
		if args == nil {
			return
		}
		if len(args) != 2+2*len(items) || len(items) > 4 {
			t.Fatalf("%q of %q", args, items)
		}
		for i, it := range items {
			if !pattern.MatchString(it) || args[1+i] != "--id="+it || args[2+len(items)+i] != it {
				t.Fatalf("%q of %q", args, items)
			}
		}
	})
}
