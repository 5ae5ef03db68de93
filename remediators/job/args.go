package job

import (
	"fmt"
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/items"
)

// arguments are the args with an id's place filled in, once for each id. None
// goes through a shell. why says what forbids the run; empty: nothing.
func arguments(sp spec, s signalbox.Step) (args []string, why string) {
	if why := items.Check(sp.ItemPattern, "args", s); why != "" {
		return nil, why
	}
	size := 0
	for _, a := range sp.Args {
		head, repeats := strings.CutSuffix(a, items.Place)
		if !repeats {
			args, size = append(args, a), size+len(a)
			continue
		}
		for _, id := range s.Items {
			args, size = append(args, head+id), size+len(head)+len(id)
		}
	}
	if size > items.MostArgs {
		return nil, fmt.Sprintf("its arguments have %d bytes, at most %d are given to a Job: lower items.most", size, items.MostArgs)
	}
	return args, ""
}
