package throttle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/setting"
)

// spec is Step.Spec.
type spec struct {
	Setting json.RawMessage `json:"setting"` // package setting's own
	Order   []string        `json:"order"`   // of the positions, from the lowest
	Expires kind.Duration   `json:"expires"`
	Every   kind.Duration   `json:"every"`
	// Lifts: the step takes a throw back.
	Lifts bool `json:"lifts,omitempty"`
}

func resolve(in kind.SpecInput) (json.RawMessage, error) {
	t, ok := in.Settings.(*Throttle)
	if !ok {
		return nil, fmt.Errorf("throttle %q has other settings", in.Name)
	}
	list, err := limits(t.Positions)
	if err != nil {
		return nil, fmt.Errorf("throttle %q: %w", in.Name, err)
	}
	s := spec{Expires: t.Expires, Every: t.Every}
	for _, l := range list {
		s.Order = append(s.Order, l.name)
	}
	in.Backend, in.Settings, _ = t.target()
	in.Positions = t.Positions
	if s.Setting, err = setting.Resolve(in); err != nil {
		return nil, err
	}
	return json.Marshal(s)
}

func parse(raw json.RawMessage) (spec, error) {
	var s spec
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return spec{}, fmt.Errorf("step's spec can't be read: %w", err)
	}
	return s, nil
}

// rank is how high a position is; -1: it is not listed.
func (s spec) rank(position string) int { return slices.Index(s.Order, position) }

// between are the positions above one and up to another, in order.
func (s spec) between(low, high string) []string {
	return s.Order[s.rank(low)+1 : s.rank(high)+1]
}
