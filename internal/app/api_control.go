package app

import (
	"errors"
	"net/http"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
)

// command is the body of a control request.
type command struct {
	Kind  signalbox.ControlKind `json:"kind"`
	Scope string                `json:"scope"`
	// For is how long a pause or a taking lasts (0: until it is lifted), or how
	// long from now an incident will last. Until says the same as a moment.
	For    signalbox.Duration `json:"for,omitempty"`
	Until  time.Time          `json:"until,omitzero"`
	Reason string             `json:"reason"`
}

// ends are the controls that may have an end.
var ends = map[signalbox.ControlKind]bool{signalbox.Pause: true, signalbox.Take: true, signalbox.Estimate: true}

func (c *command) control(who string, now time.Time) (signalbox.Control, error) {
	out := signalbox.Control{Kind: c.Kind, Scope: c.Scope, Reason: c.Reason, Who: who, Until: c.Until}
	switch {
	case c.For < 0:
		return out, errors.New("for must not be negative")
	case c.For > 0 && !c.Until.IsZero():
		return out, errors.New("for and until must not both be given")
	case (c.For > 0 || !c.Until.IsZero()) && !ends[c.Kind]:
		return out, errors.New("only pause, take and eta have an end")
	case c.For > 0:
		out.Until = now.Add(time.Duration(c.For))
	}
	if c.Kind == signalbox.Unacknowledge {
		return out, errors.New("only the pager takes an acknowledgement back")
	}
	return out, nil
}

func (d *daemon) serveControl(w http.ResponseWriter, r *http.Request, who *asker) {
	var c command
	if err := decode(w, r, &c); err != nil {
		answer(w, nil, err)
		return
	}
	control, err := c.control(who.name, d.options.Now())
	if err == nil {
		control, err = d.engine.ControlBy(r.Context(), control, who.mayControl)
	}
	answer(w, control, refusedBy(err))
}

// refusedBy gives an error of the engine its status: what it says no to is
// 422, and what it can't do now is 503.
func refusedBy(err error) error {
	if known := (*refusal)(nil); err == nil || errors.Is(err, engine.ErrNoTerm) || errors.As(err, &known) {
		return err
	}
	return &refusal{http.StatusUnprocessableEntity, err}
}
