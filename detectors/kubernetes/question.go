package kubernetes

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/signalbox/signalbox/internal/kind"
)

// question is what a detector asks, as the text of a signalbox.Question: JSON
// with its keys in this order, so that equal questions have equal texts.
type question struct {
	Watch      string     `json:"watch"`                // a key of table
	Kinds      []string   `json:"kinds"`                // in the table's order
	Namespaces []string   `json:"namespaces,omitempty"` // sorted; none: all
	Selector   string     `json:"selector,omitempty"`
	Reasons    []criteria `json:"reasons"` // the worst first
}

// criteria is one reason, with its graces.
type criteria struct {
	Reason string        `json:"reason"`
	After  kind.Duration `json:"after,omitzero"`
	Within kind.Duration `json:"within,omitzero"`
}

func (q question) text() string {
	b, err := json.Marshal(q)
	if err != nil {
		panic(fmt.Sprintf("a question can't be written: %v", err)) // it holds only texts
	}
	return string(b)
}

// inquiry is a question that was read, and can be held against objects. It is
// immutable.
type inquiry struct {
	question
	resources []resource
	selector  labels.Selector
	reasons   map[string]criteria
	rank      map[string]int
}

// parse reads a question's text.
func parse(text string) (*inquiry, error) {
	var q question
	if err := json.Unmarshal([]byte(text), &q); err != nil {
		return nil, errors.New("the question can't be read")
	}
	w, ok := find(q.Watch)
	if !ok || len(q.Reasons) == 0 || len(q.Kinds) == 0 {
		return nil, errors.New("the question must name what is watched, and its reasons")
	}
	selector, err := labels.Parse(q.Selector)
	if err != nil {
		return nil, errors.New("the question's selector can't be read")
	}
	in := &inquiry{question: q, selector: selector, reasons: map[string]criteria{}, rank: map[string]int{}}
	for _, k := range q.Kinds {
		r, known := w.resource(k)
		if !known {
			return nil, fmt.Errorf("the question's kinds must be of %s", q.Watch)
		}
		in.resources = append(in.resources, r)
	}
	for i, r := range q.Reasons {
		if _, known := w.reason(r.Reason); !known || r.After < 0 || r.Within < 0 {
			return nil, fmt.Errorf("the question's reasons must be of %s", q.Watch)
		}
		in.reasons[r.Reason], in.rank[r.Reason] = r, i
	}
	return in, nil
}

// covers reports whether an object is one that the question is about.
func (in *inquiry) covers(o *object) bool {
	return o != nil && (len(in.Namespaces) == 0 || slices.Contains(in.Namespaces, o.namespace)) &&
		(in.Selector == "" || in.selector.Matches(o.labels))
}

// concerns reports whether an object that it covers may be ill in the
// question's sense, now or later.
func (in *inquiry) concerns(o *object) bool {
	return slices.ContainsFunc(o.symptoms, func(s symptom) bool {
		_, ok := in.reasons[s.reason]
		return ok || s.reason == progressing || s.reason == complete && in.Watch == "jobs"
	})
}

// counts reports whether a symptom counts at a moment: from its grace's end
// until it is too long ago.
func (in *inquiry) counts(s symptom, at time.Time) bool {
	c, ok := in.reasons[s.reason]
	age := at.Sub(s.at)
	return ok && age >= c.After.Std() && (c.Within == 0 || age < c.Within.Std())
}

// holds reports whether a symptom that doesn't count keeps what was ill from
// being well: a rollout that is to put it right, or a state that was seen for
// the first time only after a restart of ours.
func (in *inquiry) holds(s symptom) bool {
	_, ok := in.reasons[s.reason]
	return s.reason == progressing || ok && s.ours
}

// ill returns the worst symptom that counts at a moment.
func (in *inquiry) ill(o *object, at time.Time) (worst symptom, ill bool) {
	for _, s := range o.symptoms {
		if in.counts(s, at) && (!ill || in.rank[s.reason] < in.rank[worst.reason]) {
			worst, ill = s, true
		}
	}
	return worst, ill
}
