package github

import (
	"context"
	"fmt"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/evidence"
	"github.com/signalbox/signalbox/internal/kind"
)

// LookSettings are the keys of an entry of `evidence` on a source of this kind:
// the runs of a workflow, such as the one that deploys.
type LookSettings struct {
	// The repository, as owner/name.
	Repository string `yaml:"repository" json:"repository" jsonschema:"required"`
	// The workflow: its file name (deploy.yml), its id, or its name.
	Workflow string `yaml:"workflow" json:"workflow" jsonschema:"required"`
	// Only runs of this branch or tag; absent: of all.
	Branch string `yaml:"branch,omitempty" json:"branch,omitempty"`
	// Only runs that this event started, like push; absent: all.
	Event string `yaml:"event,omitempty" json:"event,omitempty"`
}

// settings are those of a detector on the same workflow.
func (s *LookSettings) settings() *DetectorSettings {
	return &DetectorSettings{Repository: s.Repository, Workflow: s.Workflow, Branch: s.Branch, Event: s.Event}
}

// Validate reports every rule that the settings break.
func (s *LookSettings) Validate(fail kind.Fail) { s.settings().Validate(fail) }

// Field says what is wrong with a field that `same` names.
func (s *LookSettings) Field(name string) string {
	if name != "branch" {
		return "must be branch"
	}
	return ""
}

// Build makes the look. opened is what this kind's Open returned.
func (s *LookSettings) Build(name string, opened any) (kind.Look, error) {
	source, ok := opened.(*Source)
	if !ok {
		return nil, fmt.Errorf("evidence %s: the source is not of kind github", name)
	}
	return &glance{source: source, watched: s.settings().watched()}, nil
}

// glance lists the runs of a workflow.
type glance struct {
	source  *Source
	watched watched
}

// Look tells of the runs that began, or changed, in the time that is looked at:
// from the newest of them, of one page.
func (l *glance) Look(ctx context.Context, a kind.Around) ([]signalbox.Finding, error) {
	listed, err := l.source.ask(ctx, l.watched.query())
	if err != nil {
		return nil, err
	}
	var found []signalbox.Finding
	for _, s := range listed {
		if branch, asked := a.Same["branch"]; asked && s.Labels["branch"] != branch {
			continue
		}
		began, beganErr := time.Parse(time.RFC3339, s.Labels["started"])
		ended, endedErr := time.Parse(time.RFC3339, s.Labels["updated"])
		if beganErr != nil || endedErr != nil || later(began, ended).Before(a.From) || began.After(a.To.Add(time.Minute)) {
			continue
		}
		f := signalbox.Finding{At: began, Text: tell(l.watched.workflow, s.Labels)}
		if href := s.Labels["link"]; href != "" {
			f.Link = &signalbox.Link{Text: "run " + s.Labels["run_number"], Href: href}
		}
		found = append(found, f)
	}
	return evidence.Together(found, a.Most), nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// tell tells one run. Who started it is not told.
func tell(workflow string, run map[string]string) string {
	state := run["status"]
	if run["conclusion"] != "" {
		state = run["conclusion"]
	}
	text := fmt.Sprintf("%s run %s of %s: %s", workflow, run["run_number"], run["branch"], strings.ReplaceAll(state, "_", " "))
	if run["attempt"] != "1" {
		text += ", attempt " + run["attempt"]
	}
	return text
}
