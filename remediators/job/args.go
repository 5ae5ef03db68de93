package job

import (
	"fmt"
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
)

const (
	mostItem = 253      // bytes of an id
	mostArgs = 64 << 10 // bytes of all arguments
)

// arguments are the args with an id's place filled in, once for each id. None
// goes through a shell. why says what forbids the run; empty: nothing.
func arguments(sp spec, s signalbox.Step) (args []string, why string) {
	if why := checkItems(sp, s); why != "" {
		return nil, why
	}
	size := 0
	for _, a := range sp.Args {
		head, repeats := strings.CutSuffix(a, item)
		if !repeats {
			args, size = append(args, a), size+len(a)
			continue
		}
		for _, id := range s.Items {
			args, size = append(args, head+id), size+len(head)+len(id)
		}
	}
	if size > mostArgs {
		return nil, fmt.Sprintf("its arguments have %d bytes, at most %d are given to a Job: lower items.most", size, mostArgs)
	}
	return args, ""
}

// checkItems holds the ids against what the tool and the step allow.
func checkItems(sp spec, s signalbox.Step) string {
	switch {
	case sp.ItemPattern == "" && (s.Most > 0 || len(s.Items) > 0):
		return "the step gives ids, and no argument of the tool takes them: give args with " + item
	case sp.ItemPattern == "":
		return ""
	case s.Most == 0:
		return "the tool takes ids, and the step gives none: give it items with most and pace"
	case len(s.Items) == 0:
		return "there are no ids to run it with"
	case len(s.Items) > s.Most:
		return fmt.Sprintf("%d ids, where %d are allowed at once: raise items.most, or find fewer", len(s.Items), s.Most)
	}
	pattern, err := whole(sp.ItemPattern)
	if err != nil {
		return "item_pattern is no regular expression"
	}
	seen := make(map[string]bool, len(s.Items))
	for _, id := range s.Items {
		switch {
		case id == "" || len(id) > mostItem || strings.ContainsAny(id, "\x00\r\n"):
			return fmt.Sprintf("id %q must be one line of 1 to %d bytes", reach.Shown(id), mostItem)
		case !pattern.MatchString(id):
			return fmt.Sprintf("id %q does not match item_pattern %s as a whole", reach.Shown(id), sp.ItemPattern)
		case seen[id]:
			return fmt.Sprintf("id %q is given twice", id)
		}
		seen[id] = true
	}
	return ""
}
