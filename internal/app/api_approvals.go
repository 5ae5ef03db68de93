package app

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/people"
)

func (d *daemon) serveApprovals(w http.ResponseWriter, r *http.Request, who *asker) {
	if err := who.must(people.View); err != nil {
		answer(w, nil, err)
		return
	}
	list, err := d.engine.Approvals(r.Context())
	answer(w, nonNil(list), err)
}

// reply is the body of an answer to a request for approval.
type reply struct {
	Answer string `json:"answer"` // approve or deny
	Reason string `json:"reason,omitempty"`
}

func (p *reply) check() error {
	switch {
	case p.Answer != "approve" && p.Answer != "deny":
		return &refusal{http.StatusUnprocessableEntity, fmt.Errorf("answer must be approve or deny, got %q", p.Answer)}
	case p.Answer == "deny" && strings.TrimSpace(p.Reason) == "":
		return &refusal{http.StatusUnprocessableEntity, errors.New("deny needs a reason, for the journal and for those who are paged")}
	}
	return nil
}

// serveAnswer records a person's answer. An approval must be of somebody: where
// no people are configured nobody can approve.
func (d *daemon) serveAnswer(w http.ResponseWriter, r *http.Request, who *asker) {
	var p reply
	if err := decode(w, r, &p); err != nil {
		answer(w, nil, err)
		return
	}
	if !who.known {
		answer(w, nil, &refusal{http.StatusForbidden, errors.New("an approval needs a person with a name and the right to approve: this configuration has no people")})
		return
	}
	if err := p.check(); err != nil {
		answer(w, nil, err)
		return
	}
	a, err := d.engine.Answer(r.Context(), signalbox.ApprovalID(r.PathValue("id")), p.Answer == "approve", who.name, p.Reason, who.mayApprove)
	if errors.Is(err, engine.ErrNoApproval) {
		err = notFound(err)
	}
	answer(w, a, refusedBy(err))
}
