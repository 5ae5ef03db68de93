package command

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/items"
	"github.com/signalbox/signalbox/internal/kind"
)

// Kind is the remediator that runs programs on the daemon's own host.
func Kind() kind.Remediator {
	return kind.Remediator{
		Name:    "command",
		Keyword: "command",
		Items:   true,
		Tools:   map[string]kind.Tool{"command": {Settings: func() kind.Settings { return newSettings() }, Host: unfit}},
		Spec:    resolve,
		Open:    open,
	}
}

// Settings are the keys of a tool of this kind: one program.
type Settings struct {
	// The program's absolute path and its arguments, each as it is: no shell reads them. An argument that is {{item}}, with the option before it, or that ends in ={{item}}, is given once for each id.
	Argv []string `yaml:"argv" json:"argv" jsonschema:"required,minItems=1"`
	// The user as whom it runs, by name; never root.
	User string `yaml:"user" json:"user" jsonschema:"required,minLength=1"`
	// The group, by name; absent: the user's own. No other group is kept.
	Group string `yaml:"group,omitempty" json:"group,omitempty"`
	// The directory in which it runs.
	Dir string `yaml:"dir,omitempty" json:"dir,omitempty" default:"/"`
	// How long it may run; then it and all that it began are killed.
	Timeout kind.Duration `yaml:"timeout,omitempty" json:"timeout,omitzero" default:"5m"`
	// The address space of each of its processes.
	Memory kind.Quantity `yaml:"memory,omitempty" json:"memory,omitzero" default:"512MiB"`
	// The processor time of each of its processes.
	CPU kind.Duration `yaml:"cpu,omitempty" json:"cpu,omitzero" default:"2m"`
	// The size of each file that it writes.
	FileSize kind.Quantity `yaml:"file_size,omitempty" json:"file_size,omitzero" default:"100MiB"`
	// The open files of each of its processes.
	OpenFiles int `yaml:"open_files,omitempty" json:"open_files,omitempty" default:"256"`
	// The processes and threads of its user, on the whole host.
	Processes int `yaml:"processes,omitempty" json:"processes,omitempty" default:"64"`
	// Its environment, beside PATH and SIGNALBOX_ACTION_ID: it has nothing of the daemon's.
	Env map[string]string `yaml:"env,omitempty" json:"env,omitempty"`
	// Variables of its environment whose values are in files, for secrets.
	EnvFiles map[string]string `yaml:"env_files,omitempty" json:"env_files,omitempty"`
	// The regular expression (RE2) that each id must match as a whole, and that nothing with a leading dash matches; required with {{item}}.
	ItemPattern string `yaml:"item_pattern,omitempty" json:"item_pattern,omitempty"`
	// The exit codes that say that it did its work.
	ExitCodes []int `yaml:"exit_codes,omitempty" json:"exit_codes,omitempty" default:"[0]"`
	// How many lines of the end of its output are kept as evidence; 0: none.
	KeepOutputLines int `yaml:"keep_output_lines" json:"keep_output_lines" default:"20"`
	// Whether a person approves each run whatever the policy's autonomy; absent: required where it takes ids, none otherwise.
	Approval string `yaml:"approval,omitempty" json:"approval,omitempty" jsonschema:"enum=required,enum=none"`
}

const (
	required  = "required"
	mostLines = 200
	leastTime = time.Second
	mostTime  = 24 * time.Hour
)

func newSettings() *Settings {
	return &Settings{
		Dir: "/", Timeout: kind.Duration(5 * time.Minute), CPU: kind.Duration(2 * time.Minute),
		Memory:    kind.Quantity{Value: 512 << 20, Unit: signalbox.Bytes, Text: "512MiB"},
		FileSize:  kind.Quantity{Value: 100 << 20, Unit: signalbox.Bytes, Text: "100MiB"},
		OpenFiles: 256, Processes: 64, ExitCodes: []int{0}, KeepOutputLines: 20,
	}
}

// takesItems reports whether an argument is an id.
func (s *Settings) takesItems() bool {
	return slices.ContainsFunc(s.Argv, func(a string) bool { return strings.Contains(a, items.Place) })
}

// userName is what useradd(8) takes; a number would be a name that is not there.
var userName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}\$?$`)

// Validate reports every rule that the settings break.
func (s *Settings) Validate(fail kind.Fail) {
	validateArgv(s.Argv, fail)
	switch {
	case !userName.MatchString(s.User):
		fail("user", "must be the name of a user", s.User)
	case s.User == "root":
		fail("user", "must not be root: make a user who may do this and nothing else", s.User)
	}
	switch {
	case s.Group == "root":
		fail("group", "must not be root", s.Group)
	case s.Group != "" && !userName.MatchString(s.Group):
		fail("group", "must be the name of a group", s.Group)
	}
	if !clean(s.Dir) {
		fail("dir", "must be an absolute path without . and ..", s.Dir)
	}
	s.validateLimits(fail)
	s.validateEnv(fail)
	s.validatePattern(fail)
	if len(s.ExitCodes) == 0 {
		fail("exit_codes", "must list at least one", nil)
	}
	for i, c := range s.ExitCodes {
		if c < 0 || c > 255 {
			fail(fmt.Sprintf("exit_codes[%d]", i), "must be between 0 and 255", c)
		}
	}
	if s.KeepOutputLines < 0 || s.KeepOutputLines > mostLines {
		fail("keep_output_lines", fmt.Sprintf("must be between 0 and %d", mostLines), s.KeepOutputLines)
	}
	if s.Approval != "" && s.Approval != required && s.Approval != "none" {
		fail("approval", "must be required or none", s.Approval)
	}
}

func clean(file string) bool { return path.IsAbs(file) && path.Clean(file) == file }

func (s *Settings) validateLimits(fail kind.Fail) {
	for key, d := range map[string]kind.Duration{"timeout": s.Timeout, "cpu": s.CPU} {
		if d.Std() < leastTime || d.Std() > mostTime || d.Std()%time.Second != 0 {
			fail(key, "must be whole seconds, between 1s and 24h", d.String())
		}
	}
	for key, q := range map[string]kind.Quantity{"memory": s.Memory, "file_size": s.FileSize} {
		if q.Unit != signalbox.Bytes || q.Value < 1<<20 || q.Value > 1<<40 {
			fail(key, "must be a size with its unit, between 1MiB and 1TiB", q.String())
		}
	}
	for key, n := range map[string]int{"open_files": s.OpenFiles, "processes": s.Processes} {
		if n < 16 || n > 1<<20 {
			fail(key, "must be between 16 and 1048576", n)
		}
	}
}

var (
	variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// secret is in the name of a variable that holds one.
	secret = regexp.MustCompile(`(?i)pass(word|wd|phrase)|secret|token|credential|bearer|cookie|(api|access|private|secret|auth|signing|encryption)_?key`)
)

func (s *Settings) validateEnv(fail kind.Fail) {
	for key, m := range map[string]map[string]string{"env": s.Env, "env_files": s.EnvFiles} {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			at, v := key+"."+name, m[name]
			_, twice := s.Env[name]
			switch {
			case !variable.MatchString(name):
				fail(key, "must name variables", nil)
			case name == "PATH" || strings.HasPrefix(name, "SIGNALBOX_"):
				fail(at, "is set by the daemon", nil)
			case key == "env_files" && twice:
				fail(at, "must not be given in env too", nil)
			case key == "env_files" && v == "":
				fail(at, "must name a file", nil)
			case key == "env" && secret.MatchString(name):
				fail(at, "must not stand in the configuration: give it in a file, by env_files", nil)
			case strings.ContainsRune(v, 0):
				fail(at, "must not hold a zero byte", nil)
			}
		}
	}
}

func (s *Settings) validatePattern(fail kind.Fail) {
	switch takes := s.takesItems(); {
	case takes && s.ItemPattern == "":
		fail("item_pattern", "is required with "+items.Place, nil)
	case !takes && s.ItemPattern != "":
		fail("item_pattern", "must not be given without "+items.Place+" in argv", s.ItemPattern)
	case s.ItemPattern != "":
		dash, err := items.MayBegin(s.ItemPattern, '-')
		switch {
		case err != nil:
			fail("item_pattern", "must be a regular expression (RE2)", s.ItemPattern)
		case dash:
			fail("item_pattern", "must not match what begins with a dash, which the program would take for an option: say what an id begins with", s.ItemPattern)
		}
	}
}
