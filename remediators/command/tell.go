package command

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
	"github.com/signalbox/signalbox/internal/runner"
)

// mostShown bounds a command line for people, in bytes.
const mostShown = 600

// shown is argv as a person would type it.
func shown(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = reach.Quote(reach.Shown(a))
	}
	text := strings.Join(words, " ")
	if len(text) > mostShown {
		text = strings.ToValidUTF8(text[:mostShown], "") + "…"
	}
	return text
}

// reach says what would be run, for people.
func (x *run) reach() string {
	return fmt.Sprintf("whatever %s does as user %s (%d:%d) in %s on %s, for at most %s: %s",
		path.Base(x.Argv[0]), x.User, x.uid, x.gid, x.Dir, x.home, x.Timeout, shown(x.argv))
}

// running says how a run that goes on can be stopped: no control of the daemon
// stops what has begun.
func running(s *runner.Seen, home string) string {
	if s.Begun.PID == 0 {
		return "it is about to begin"
	}
	return fmt.Sprintf("it runs since %s on %s, and is killed at %s; to stop it there before: kill -KILL -- -%d",
		clock(s.Begun.At), home, clock(s.Begun.Ends), s.Begun.PID)
}

func lost(s *runner.Seen) string {
	return fmt.Sprintf("it began at %s as process %d, and nobody saw its end: its runner was killed, or the host went down. Whether it did its work is not known, and it is not run again: look, and settle it",
		clock(s.Begun.At), s.Begun.PID)
}

func clock(t time.Time) string { return t.UTC().Format(time.TimeOnly) }

// ended tells how a run ended. That it failed comes with a receipt: some of its
// work may have been done.
func (r *remediator) ended(a *signalbox.Action, home string, s *runner.Seen) (signalbox.Progress, error) {
	sp, err := parseSpec(a.Step.Spec)
	if err != nil {
		return signalbox.Progress{}, fmt.Errorf("tool %q: %w", a.Step.Name, err)
	}
	e := &s.End
	good := false
	var how string
	switch {
	case e.TimedOut:
		how = "was killed at its time limit of " + sp.Timeout.String()
	case e.Signal != "":
		how = "was ended by " + e.Signal + hint(e.Signal)
	default:
		good, how = slices.Contains(sp.ExitCodes, e.Code), fmt.Sprintf("ended with exit code %d", e.Code)
	}
	if !s.Begun.At.IsZero() {
		how += " after " + e.At.Sub(s.Begun.At).Round(10*time.Millisecond).String()
	}
	if e.Left {
		how += ", and what it left behind was killed"
	}
	receipt := r.receipt(home, shown(s.Argv)+" "+how)
	said := ""
	if sp.KeepOutputLines > 0 {
		if said = reach.Tail(e.Output, sp.KeepOutputLines); said == "" {
			said = "it said nothing"
		}
		said = "\n" + said
	}
	if good {
		receipt.Detail += said
		return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: receipt}, nil
	}
	return signalbox.Progress{Phase: signalbox.Fell, Receipt: receipt, Reason: receipt.Detail + said}, nil
}

// hint names the limit that ends a program by a signal.
func hint(signal string) string {
	switch signal {
	case "SIGXCPU":
		return " (its limit cpu)"
	case "SIGXFSZ":
		return " (its limit file_size)"
	}
	return ""
}
