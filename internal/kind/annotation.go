package kind

import (
	"context"
	"time"
)

// Annotation is what an action leaves on the dashboards of its detector, so
// that people see it where they look.
type Annotation struct {
	Detector string // by its name in the configuration
	Action   string // the action's id: the same action is annotated once, however often it is told
	Start    time.Time
	End      time.Time // zero: it has not ended
	Text     string    // plain text, no secret
	Tags     []string  // beside those that mark it as ours
}

// Annotator is a source that keeps annotations.
type Annotator interface {
	// Annotate writes the annotation on each dashboard of the detector, or
	// brings the one that is there up to date. It is nil where the detector
	// has no dashboard in this source. It is idempotent, and what it wrote
	// before an error is found again by the next call.
	Annotate(ctx context.Context, a Annotation) error
}
