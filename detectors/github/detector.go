package github

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/track"
)

// DetectorSettings are the keys of a detector on a source of this kind, beyond
// those that every detector has.
type DetectorSettings struct {
	// The repository, as owner/name.
	Repository string `yaml:"repository" json:"repository" jsonschema:"required"`
	// The workflow: its file name (deploy.yml), its id, or its name.
	Workflow string `yaml:"workflow" json:"workflow" jsonschema:"required"`
	// Only runs of this branch or tag count; absent: of all.
	Branch string `yaml:"branch,omitempty" json:"branch,omitempty"`
	// Only runs that this event started count, like push or schedule; absent: all.
	Event string `yaml:"event,omitempty" json:"event,omitempty"`
	// When it is ill, and for how long before an incident opens.
	Breach Breach `yaml:"breach,omitempty" json:"breach,omitzero"`
	// When it is well again: after a success, for how long.
	Clear Clear `yaml:"clear,omitempty" json:"clear,omitzero"`
	// An incident stays open for so long after the last breach.
	KeepFiringFor kind.Duration `yaml:"keep_firing_for,omitempty" json:"keep_firing_for,omitzero"`
	// A success that began longer ago is Unknown, so that a schedule that stopped is noticed; absent: it counts for ever.
	MaxAge kind.Duration `yaml:"max_age,omitempty" json:"max_age,omitzero"`
}

// Breach is what a failed run is.
type Breach struct {
	// Conclusions that are a breach; absent: failure, timed_out, startup_failure. Also possible: cancelled, action_required, stale.
	Conclusion []string `yaml:"conclusion,omitempty" json:"conclusion,omitempty"`
	// A run that is under way is the breach, in place of one that failed: a deploy or a migration, for guards.changes.
	UnderWay bool `yaml:"under_way,omitempty" json:"under_way,omitempty"`
	// It must be so for so long, without a break.
	For kind.Duration `yaml:"for,omitempty" json:"for,omitzero"`
}

// Clear is when it is well again.
type Clear struct {
	// It must be so for so long, without a break.
	For kind.Duration `yaml:"for,omitempty" json:"for,omitzero"`
}

// Unit is the unit of the detector's value: how many of the listed runs failed
// in a row.
func (d *DetectorSettings) Unit() signalbox.Unit { return signalbox.Number }

// Fresh is how old a sample, which is a list of runs, may be that is acted on.
func (d *DetectorSettings) Fresh(time.Duration) time.Duration { return maxListAge }

func (d *DetectorSettings) watched() watched {
	w := watched{workflow: d.Workflow, branch: d.Branch, event: d.Event}
	w.owner, w.repository, _ = strings.Cut(d.Repository, "/")
	return w
}

var (
	ownerName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	eventName = regexp.MustCompile(`^[a-z_]{1,64}$`)
)

// rule says what is wrong with what is watched; "": nothing.
func (w watched) rule() string {
	switch {
	case w.repositoryRule() != "":
		return w.repositoryRule()
	case w.workflowRule() != "":
		return w.workflowRule()
	case w.branchRule() != "":
		return w.branchRule()
	}
	return w.eventRule()
}

func (w watched) repositoryRule() string {
	for _, part := range []string{w.owner, w.repository} {
		if !ownerName.MatchString(part) || part == "." || part == ".." {
			return "must be owner/name, of letters, digits and . _ -"
		}
	}
	return ""
}

func (w watched) workflowRule() string {
	switch {
	case w.workflow == "" || len(w.workflow) > maxText || unfit(w.workflow):
		return "must be the file name (deploy.yml), the id or the name of a workflow"
	case w.byFile() && strings.ContainsAny(w.workflow, `/\`):
		return "must be the file name without its folder"
	case w.byID() && len(w.workflow) > 18:
		return "must be an id of at most 18 digits"
	}
	return ""
}

func (w watched) branchRule() string {
	if len(w.branch) > maxText || unfit(w.branch) || strings.ContainsAny(w.branch, " *?[") {
		return "must be one branch or tag, without patterns"
	}
	return ""
}

func (w watched) eventRule() string {
	if w.event != "" && !eventName.MatchString(w.event) {
		return "must be the name of an event, like push or schedule"
	}
	return ""
}

func unfit(text string) bool {
	return plain(text) != text || strings.ContainsFunc(text, unicode.IsControl)
}

// Validate reports every rule that the settings break.
func (d *DetectorSettings) Validate(fail kind.Fail) {
	w := d.watched()
	for _, broken := range []struct{ path, rule, value string }{
		{"repository", w.repositoryRule(), d.Repository},
		{"workflow", w.workflowRule(), d.Workflow},
		{"branch", w.branchRule(), d.Branch},
		{"event", w.eventRule(), d.Event},
	} {
		if broken.rule != "" {
			fail(broken.path, broken.rule, broken.value)
		}
	}
	if d.Breach.UnderWay {
		d.validateUnderWay(fail)
	}
	known := conclusions()
	for i, word := range d.Breach.Conclusion {
		at := fmt.Sprintf("breach.conclusion[%d]", i)
		switch told, ok := known[word]; {
		case !ok:
			fail(at, "must be one of "+strings.Join(slices.Sorted(maps.Keys(known)), ", "), word)
		case told == health, word == "skipped", word == "neutral":
			fail(at, "must not be "+word+", which is no failure", nil)
		}
	}
}

// validateUnderWay refuses what says how a run ended, where that does not count.
func (d *DetectorSettings) validateUnderWay(fail kind.Fail) {
	if len(d.Breach.Conclusion) > 0 {
		fail("breach.conclusion", "must not be given together with under_way: how a run ended does not count then", nil)
	}
	if d.MaxAge > 0 {
		fail("max_age", "must not be given together with breach.under_way: how old a success is does not count then", d.MaxAge)
	}
}

// Build makes the detector. opened is what this kind's Open returned.
func (d *DetectorSettings) Build(c kind.Common, opened any) (signalbox.Detector, track.Timing, error) {
	timing := track.Timing{For: d.Breach.For.Std(), ClearFor: d.Clear.For.Std(), KeepFiringFor: d.KeepFiringFor.Std()}
	det := &detector{common: c, watched: d.watched(), breach: d.Breach.Conclusion, underWay: d.Breach.UnderWay, maxAge: d.MaxAge.Std(), origin: c.Origin}
	if rule := det.watched.rule(); rule != "" {
		return nil, timing, fmt.Errorf("detector %s: the workflow's repository, name, branch or event %s", c.Name, rule)
	}
	if len(det.breach) == 0 {
		for word, told := range conclusions() {
			if told == illness {
				det.breach = append(det.breach, word)
			}
		}
		slices.Sort(det.breach)
	}
	if o, ok := opened.(interface{ Origin() string }); ok && det.origin == "" {
		det.origin = o.Origin()
	}
	return det, timing, nil
}
