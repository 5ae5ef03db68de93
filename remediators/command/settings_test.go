package command

import (
	"fmt"
	"strings"
	"testing"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

func replay() *Settings {
	s := newSettings()
	s.Argv = []string{"/usr/bin/python3", "scripts/replay_psp_webhooks.py", "--event-id", "{{item}}"}
	s.User, s.Dir, s.ItemPattern = "replay", "/opt/handbook", "evt_[0-9a-z]{8}"
	return s
}

// What is refused, and with which words; the same settings without the change are
// right.
func TestValidate(t *testing.T) {
	t.Parallel()
	argv := func(a ...string) func(*Settings) { return func(s *Settings) { s.Argv = a } }
	plain := func(a ...string) func(*Settings) {
		return func(s *Settings) { s.Argv, s.ItemPattern = a, "" }
	}
	for name, c := range map[string]struct {
		change func(*Settings)
		want   string
	}{
		"right":                     {func(*Settings) {}, ""},
		"an id by name":             {argv("/opt/x", "--event-id={{item}}"), ""},
		"an id after a program":     {argv("/opt/replay", "{{item}}"), ""},
		"an id after --":            {argv("/usr/bin/python3", "x.py", "--", "{{item}}"), ""},
		"nothing":                   {plain(), "argv must hold the program's path"},
		"a relative program":        {plain("scripts/x.py"), "argv[0] must be the program's absolute path"},
		"a program not clean":       {plain("/opt/../bin/x"), "argv[0] must be the program's absolute path"},
		"an id as the program":      {argv("/opt/{{item}}"), "argv[0] must be a path of the configuration"},
		"a shell's text":            {plain("/bin/sh", "-c", "id"), "must not have a shell (sh) read commands"},
		"bash's":                    {plain("/usr/bin/bash", "-euo", "pipefail", "-c", "id"), "must not have a shell (bash)"},
		"by env":                    {plain("/usr/bin/env", "dash", "-lc", "id"), "must not have a shell (dash)"},
		"a shell's script":          {plain("/bin/bash", "/opt/x.sh"), ""},
		"an id as an option's part": {argv("/opt/x", "--event-id{{item}}"), "must be {{item}} as a whole"},
		"an id within":              {argv("/opt/x", "--url=http://x/{{item}}"), "must be {{item}} as a whole"},
		"two ids in one":            {argv("/opt/x", "{{item}}={{item}}"), "must be {{item}} as a whole"},
		"a label":                   {argv("/opt/x", "{{cluster}}"), "must be {{item}} as a whole"},
		"an id as a script":         {argv("/usr/bin/python3", "-u", "{{item}}"), "must come after the script's own path"},
		"an id as code":             {argv("/usr/bin/perl", "x.pl", "-e", "{{item}}"), "an option that is run as a program"},
		"an id as code by name":     {argv("/usr/bin/node", "x.js", "--eval={{item}}"), "an option that is run as a program"},
		"two lines":                 {plain("/opt/x", "a\nb"), "argv[1] must be one line"},
		"a pattern with a dash":     {func(s *Settings) { s.ItemPattern = "[a-z-]+" }, "item_pattern must not match what begins with a dash"},
		"any pattern":               {func(s *Settings) { s.ItemPattern = ".*" }, "item_pattern must not match what begins with a dash"},
		"no pattern":                {func(s *Settings) { s.ItemPattern = "" }, "item_pattern is required"},
		"a pattern for nothing":     {func(s *Settings) { s.Argv = []string{"/opt/x"} }, "item_pattern must not be given without"},
		"no regular expression":     {func(s *Settings) { s.ItemPattern = "(" }, "item_pattern must be a regular expression"},
		"no user":                   {func(s *Settings) { s.User = "" }, "user must be the name of a user"},
		"root":                      {func(s *Settings) { s.User = "root" }, "user must not be root"},
		"the number of root":        {func(s *Settings) { s.User = "0" }, "user must be the name of a user"},
		"the group of root":         {func(s *Settings) { s.Group = "root" }, "group must not be root"},
		"a relative directory":      {func(s *Settings) { s.Dir = "scripts" }, "dir must be an absolute path"},
		"no time":                   {func(s *Settings) { s.Timeout = 0 }, "timeout must be whole seconds"},
		"no processor time":         {func(s *Settings) { s.CPU = 0 }, "cpu must be whole seconds"},
		"memory without a unit":     {func(s *Settings) { s.Memory = kind.Quantity{Value: 256, Text: "256"} }, "memory must be a size with its unit"},
		"small files":               {func(s *Settings) { s.FileSize.Value = 10 }, "file_size must be a size"},
		"no files":                  {func(s *Settings) { s.OpenFiles = 0 }, "open_files must be between 16"},
		"no processes":              {func(s *Settings) { s.Processes = 1 }, "processes must be between 16"},
		"a path of its own":         {func(s *Settings) { s.Env = map[string]string{"PATH": "/opt"} }, "env.PATH is set by the daemon"},
		"no variable":               {func(s *Settings) { s.Env = map[string]string{"A=B": "x"} }, "env must name variables"},
		"a secret":                  {func(s *Settings) { s.Env = map[string]string{"PSP_API_KEY": "hunter2"} }, "env.PSP_API_KEY must not stand in the configuration"},
		"a secret in a file":        {func(s *Settings) { s.EnvFiles = map[string]string{"PSP_API_KEY": "secrets/psp"} }, ""},
		"a variable twice":          {func(s *Settings) { s.Env, s.EnvFiles = map[string]string{"A": "x"}, map[string]string{"A": "x"} }, "env_files.A must not be given in env too"},
		"no exit code":              {func(s *Settings) { s.ExitCodes = nil }, "exit_codes must list at least one"},
		"an exit code of nothing":   {func(s *Settings) { s.ExitCodes = []int{0, 256} }, "exit_codes[1] must be between 0 and 255"},
		"too many lines":            {func(s *Settings) { s.KeepOutputLines = 1000 }, "keep_output_lines must be between 0 and 200"},
		"another approval":          {func(s *Settings) { s.Approval = "later" }, "approval must be required or none"},
	} {
		s := replay()
		c.change(s)
		var said []string
		s.Validate(func(path, rule string, value any) {
			said = append(said, strings.TrimSpace(path+" "+rule))
			if strings.Contains(fmt.Sprint(path, rule, value), "hunter2") {
				t.Errorf("%s: a secret is shown", name)
			}
		})
		if got := strings.Join(said, "; "); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// Each id once, with the option before it; and never as an option, whatever the
// spec's pattern says.
func TestArguments(t *testing.T) {
	t.Parallel()
	flow := signalbox.Flow{Most: 3}
	for _, c := range []struct {
		argv    string
		pattern string
		ids     []string
		want    string
		why     string
	}{
		{"/x --event-id {{item}} --all", "[a-z]+", []string{"a", "b"}, "/x --event-id a --event-id b --all", ""},
		{"/x --id={{item}} -- {{item}}", "[a-z]+", []string{"a", "b"}, "/x --id=a --id=b -- a b", ""},
		{"/x replay {{item}}", "[a-z]+", []string{"a", "b"}, "/x replay a b", ""},
		{"/x {{item}}", "[a-z-]+", []string{"-f"}, "", "begins with a dash"},
		{"/x --n {{item}}", "[a-z-]+", []string{"-f"}, "", "begins with a dash"},
		{"/x {{item}}", "[a-z]+", []string{"a;b"}, "", "does not match item_pattern"},
		{"/x {{item}}", "[a-z]+", []string{"a\nb"}, "", "one line"},
		{"/x {{item}}", "[a-z]+", []string{"a", "a"}, "", "given twice"},
		{"/x {{item}}", "[a-z]+", []string{"a", "b", "c", "d"}, "", "3 are allowed at once"},
		{"/x {{item}}", "[a-z]+", nil, "", "there are no ids"},
		{"/x " + strings.Repeat("y", 65<<10) + " {{item}}", "[a-z]+", []string{"a"}, "", "lower items.most"},
		{"/x", "", []string{"a"}, "", "no argument of the tool takes them"},
	} {
		got, why := arguments(&spec{Argv: strings.Fields(c.argv), ItemPattern: c.pattern}, &signalbox.Step{Flow: flow, Items: c.ids})
		if strings.Join(got, " ") != c.want || c.why == "" && why != "" || !strings.Contains(why, c.why) {
			t.Errorf("%.40q of %q: got %q, %q", c.argv, c.ids, got, why)
		}
	}
}

// The spec holds all that a run needs, and is read strictly.
func TestSpec(t *testing.T) {
	t.Parallel()
	s := replay()
	s.EnvFiles = map[string]string{"TOKEN": "secrets/psp"}
	raw, err := resolve(kind.SpecInput{Name: "replay", Settings: s, ConfigDir: "/etc/signalbox"})
	if err != nil {
		t.Fatal(err)
	}
	sp, err := parseSpec(raw)
	if err != nil || !sp.Approval || sp.Memory != 512<<20 || sp.EnvFiles["TOKEN"] != "/etc/signalbox/secrets/psp" {
		t.Errorf("got %+v, %v", sp, err)
	}
	for name, text := range map[string]string{
		"another key": strings.Replace(string(raw), `"user"`, `"nice": 5, "user"`, 1),
		"no limit":    strings.Replace(string(raw), `"memory":536870912`, `"memory":0`, 1),
		"no user":     strings.Replace(string(raw), `"user":"replay"`, `"user":""`, 1),
		"two values":  string(raw) + "{}",
	} {
		if _, err := parseSpec([]byte(text)); err == nil {
			t.Errorf("%s: it is read", name)
		}
	}
}
