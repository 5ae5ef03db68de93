package github

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// tells is what a conclusion tells of the workflow's health.
type tells int

const (
	nothingYet tells = iota // it is under way
	nothing                 // it ended without a verdict
	health
	illness
	unheard // a word that is not known
)

// conclusions that GitHub's API describes, with startup_failure, which it gives
// and describes elsewhere only. The value says whether it is a breach unless
// the configuration says else.
func conclusions() map[string]tells {
	return map[string]tells{
		"success": health,
		"failure": illness, "timed_out": illness, "startup_failure": illness,
		"cancelled": nothing, "skipped": nothing, "neutral": nothing, "action_required": nothing, "stale": nothing,
	}
}

// past is one run as it is judged.
type past struct {
	labels           map[string]string
	id               int64
	attempt          int64
	created, started time.Time
	tells            tells
}

// going says that the run is under way: queued and waiting ones too.
func (p past) going() bool { return p.tells == nothingYet }

// hides says that an earlier attempt is hidden behind one that tells nothing.
func (p past) hides() bool { return p.attempt > 1 && (p.tells == nothing || p.tells == nothingYet) }

// history is the runs of an answer, the newest first: by when the attempt that
// counts was started, since an older run that is run again, as in a rollback,
// is the newest thing that happened. An attempt that tells nothing hides the one
// before it, and stands where its run was created; where that attempt is what
// was told last, it keeps its place as the newest.
func history(samples []signalbox.Sample, breach []string, last string) ([]past, bool) {
	known := conclusions()
	runs := make([]past, 0, len(samples))
	for _, s := range samples {
		p := past{labels: s.Labels}
		var errs [4]error
		p.id, errs[0] = strconv.ParseInt(s.Labels["run_id"], 10, 64)
		p.attempt, errs[1] = strconv.ParseInt(s.Labels["attempt"], 10, 64)
		p.created, errs[2] = time.Parse(time.RFC3339, s.Labels["created"])
		p.started, errs[3] = time.Parse(time.RFC3339, s.Labels["started"])
		for _, err := range errs {
			if err != nil {
				return nil, false
			}
		}
		conclusion := s.Labels["conclusion"]
		verdict, heard := known[conclusion]
		switch {
		case s.Labels["status"] != "completed":
		case !heard:
			p.tells = unheard
		case verdict == health:
			p.tells = health
		case slices.Contains(breach, conclusion):
			p.tells = illness
		default:
			p.tells = nothing
		}
		if p.hides() && s.Labels["run_id"] != last {
			p.started = p.created
		}
		runs = append(runs, p)
	}
	slices.SortStableFunc(runs, func(a, b past) int {
		return cmp.Or(b.started.Compare(a.started), cmp.Compare(b.id, a.id))
	})
	return runs, true
}
