package sandbox

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/term"
)

// Who speaks in a line.
const (
	whoCompany = "company"
	whoSwitch  = "switch"
	whoPager   = "pager"
	whoMetrics = "metrics"
)

// maxLine bounds what is told, in characters.
const maxLine = 180

// narrator prints one plain line for each thing that happens, each in a single
// write, so that it may share a terminal. It is safe for concurrent use.
type narrator struct {
	mu     sync.Mutex
	out    io.Writer
	colour bool
	now    func() time.Time
}

// tell prints "12:00:10  company   text" in local time. Text may hold what
// others sent: it can't move the cursor or begin a line of its own.
func (n *narrator) tell(who, text string) {
	text = plain(text)
	if n.colour {
		text = paint(who, text)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	fmt.Fprintf(n.out, "%s  %-8s  %s\n", n.now().Local().Format(time.TimeOnly), who, text)
}

// plain makes one line of text that is safe on a terminal.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > maxLine {
		text = string(runes[:maxLine-1]) + "…"
	}
	return text
}

// paint colours a line by who speaks (ECMA-48 SGR).
func paint(who, text string) string {
	code := map[string]string{whoCompany: "33", whoSwitch: "36", whoPager: "35", whoMetrics: "2"}[who]
	if code == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// colourful reports whether out is a terminal whose owner wants colours:
// NO_COLOR (no-color.org), set and not empty, says no, and so does TERM=dumb.
func colourful(out io.Writer, getenv func(string) string) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && wantsColour(getenv)
}

func wantsColour(getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}
