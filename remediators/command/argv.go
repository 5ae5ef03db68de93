package command

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/items"
	"github.com/signalbox/signalbox/internal/kind"
)

var (
	// shell is a program that reads a text as commands.
	shell = regexp.MustCompile(`^(|ba|da|a|z|k|mk|pdk|c|tc|fi|r|rba|po)sh$|^busybox$|^pwsh$`)
	// inline is an option of a shell by which it does.
	inline = regexp.MustCompile(`^-[A-Za-z]*c[A-Za-z]*$|^--command(=|$)`)
	// interpreter is a program that runs a file, or a text that it is given.
	interpreter = regexp.MustCompile(`^(python|perl|ruby|node|nodejs|php|lua|deno|bun|Rscript|tclsh|awk|gawk|mawk|env|xargs|sudo|nice|nohup|timeout|java)[0-9.]*$`)
	// code is an option whose value many of them run.
	code = regexp.MustCompile(`^-[A-Za-z]*[ceErpm]$|^--(eval|exec|execute|command|print|require|import|module)$`)
	// named is what stands before an id in one argument.
	named = regexp.MustCompile(`^--?[A-Za-z0-9][A-Za-z0-9_.-]*=$`)
)

// validateArgv holds argv to what may be run, and to where an id may stand.
func validateArgv(argv []string, fail kind.Fail) {
	if len(argv) == 0 {
		fail("argv", "must hold the program's path", nil)
		return
	}
	switch {
	case strings.Contains(argv[0], "{{"):
		fail("argv[0]", "must be a path of the configuration, and hold no "+items.Place, argv[0])
	case !clean(argv[0]) || argv[0] == "/":
		fail("argv[0]", "must be the program's absolute path, without . and ..", argv[0])
	}
	if why := shellText(argv); why != "" {
		fail("argv", why, nil)
	}
	for i, a := range argv {
		at := fmt.Sprintf("argv[%d]", i)
		head, found := strings.CutSuffix(a, items.Place)
		switch {
		case strings.ContainsAny(a, "\x00\r\n"):
			fail(at, "must be one line", nil)
		case i == 0 || !strings.Contains(a, "{{"):
		case !found || strings.Contains(head, "{{") || head != "" && !named.MatchString(head):
			fail(at, "must be "+items.Place+" as a whole, or --name="+items.Place+": nothing else is filled in", a)
		case head == "" && code.MatchString(argv[i-1]) || code.MatchString(strings.TrimSuffix(head, "=")):
			fail(at, "must not be the value of an option that is run as a program", argv[i-1])
		case head == "" && runs(argv[0]) && !slices.ContainsFunc(argv[1:i], fixed):
			fail(at, "must come after the script's own path: an id is never what is run", a)
		}
	}
}

// fixed is an argument that is no option and no id.
func fixed(a string) bool { return !strings.HasPrefix(a, "-") && !strings.Contains(a, "{{") }

// runs reports whether a program runs the file that it is given.
func runs(program string) bool {
	base := path.Base(program)
	return interpreter.MatchString(base) || shell.MatchString(base)
}

// shellText says why argv has a shell read a text; empty: it does not.
func shellText(argv []string) string {
	for i, a := range argv {
		if shell.MatchString(path.Base(a)) && slices.ContainsFunc(argv[i+1:], inline.MatchString) {
			return fmt.Sprintf("must not have a shell (%s) read commands from an argument (-c): put them into a file, and run that", path.Base(a))
		}
	}
	return ""
}

// arguments is argv with the ids in their place, each once; an option before a
// place is repeated with it. why says what forbids the run; empty: nothing.
func arguments(sp *spec, s *signalbox.Step) (argv []string, why string) {
	if why := items.Check(sp.ItemPattern, "argv", *s); why != "" {
		return nil, why
	}
	for i := 0; i < len(sp.Argv); i++ {
		a := sp.Argv[i]
		head, repeats := strings.CutSuffix(a, items.Place)
		option := ""
		if i > 0 && i+1 < len(sp.Argv) && sp.Argv[i+1] == items.Place && strings.HasPrefix(a, "-") && a != "--" && !repeats {
			option, head, repeats = a, "", true
			i++
		}
		if !repeats {
			argv = append(argv, a)
			continue
		}
		for _, id := range s.Items {
			if strings.HasPrefix(id, "-") {
				return nil, fmt.Sprintf("id %q begins with a dash", id)
			}
			if option != "" {
				argv = append(argv, option)
			}
			argv = append(argv, head+id)
		}
	}
	size := 0
	for _, a := range argv {
		size += len(a)
	}
	if size > items.MostArgs {
		return nil, fmt.Sprintf("its arguments have %d bytes, at most %d are given to a program: lower items.most", size, items.MostArgs)
	}
	return argv, ""
}
