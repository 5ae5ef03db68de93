package outward

import (
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// maxStory bounds the text of an annotation, in bytes.
const maxStory = 600

// stages are what people read of a stage.
var stages = map[signalbox.Stage]string{
	signalbox.Claimed: "under way",
	signalbox.Started: "under way",
	signalbox.Doubt:   "in doubt",
	signalbox.Done:    "done",
	signalbox.Broken:  "had no effect",
}

// outcomeWords are what people read of an outcome.
var outcomeWords = map[signalbox.Outcome]string{
	signalbox.Recovered:    "recovered",
	signalbox.NotRecovered: "not recovered",
	signalbox.Unverified:   "what came of it is not known",
}

// annotation is what is told of an action. It holds names of the
// configuration, ids, and the subject; no reasons and receipts, which may
// repeat what a target answered.
func annotation(a *signalbox.Action, inc *signalbox.Incident) kind.Annotation {
	var b strings.Builder
	b.WriteString(a.Step.Name)
	if a.Step.To != "" {
		b.WriteString(" to " + a.Step.To)
	}
	if a.Undoes != "" {
		b.WriteString(", taking back " + string(a.Undoes))
	}
	if a.Ran() {
		b.WriteString(": ran and failed")
	} else {
		b.WriteString(": " + stages[a.Stage])
	}
	if o := outcomeWords[a.Outcome]; o != "" {
		b.WriteString(", " + o)
	}
	if a.Undone != "" {
		b.WriteString(", taken back by " + string(a.Undone))
	}
	b.WriteString(". For " + inc.Reading.Subject)
	if a.Policy != "" {
		b.WriteString(", by policy " + a.Policy)
	}
	b.WriteString(". Incident " + string(a.Incident) + ", action " + string(a.ID) + ".")
	note := kind.Annotation{
		Detector: inc.Reading.Detector, Action: string(a.ID), Start: a.ClaimedAt, End: a.EndedAt,
		Text: httpclient.Plain(b.String(), maxStory), Tags: []string{a.Step.Kind, a.Step.Name},
	}
	if a.Policy != "" {
		note.Tags = append(note.Tags, a.Policy)
	}
	return note
}
