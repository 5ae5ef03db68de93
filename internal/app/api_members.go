package app

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/people"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/etcd"
)

// memberChange is the body of a change of the store's members, and what the
// journal keeps of it.
type memberChange struct {
	Do      string `json:"do"` // add or remove
	Name    string `json:"name"`
	Address string `json:"address,omitempty"` // https://host:port, of one that is added
	Reason  string `json:"reason,omitempty"`
}

// errNotOurs: there is no member that could be asked.
var errNotOurs = errors.New("the store is an external etcd: its members are its operators'")

func (d *daemon) serveMembers(w http.ResponseWriter, r *http.Request, who *asker) {
	if err := who.must(people.View); err != nil {
		answer(w, nil, err)
		return
	}
	if d.member == nil {
		answer(w, nil, &refusal{http.StatusUnprocessableEntity, errNotOurs})
		return
	}
	list, err := d.member.Members(r.Context())
	answer(w, list, membersRefused(err))
}

// serveMemberChange adds or removes a member. It needs the right to kill: who
// may take the store's quorum may stop all remediation, and no less. What is
// asked is journaled before it is done, and so only the replica that leads
// does it.
func (d *daemon) serveMemberChange(w http.ResponseWriter, r *http.Request, who *asker) {
	if err := who.must(people.Kill); err != nil {
		answer(w, nil, err)
		return
	}
	var c memberChange
	if err := decode(w, r, &c); err != nil {
		answer(w, nil, err)
		return
	}
	if d.member == nil {
		answer(w, nil, &refusal{http.StatusUnprocessableEntity, errNotOurs})
		return
	}
	done, err := d.changeMembers(r, who, c)
	answer(w, done, membersRefused(err))
}

func (d *daemon) changeMembers(r *http.Request, who *asker, c memberChange) (store.Member, error) {
	ctx, address := r.Context(), ""
	var err error
	switch c.Do {
	case "add":
		if address, err = etcd.ParseAddress(c.Address); err != nil {
			return store.Member{}, &refusal{http.StatusBadRequest, err}
		}
		err = d.member.CheckAdd(ctx, c.Name, address)
	case "remove":
		err = d.member.CheckRemove(ctx, c.Name)
	default:
		err = &refusal{http.StatusBadRequest, fmt.Errorf("do must be add or remove, got %q", c.Do)}
	}
	if err != nil {
		return store.Member{}, err
	}
	if err := d.engine.Note(ctx, journal.StoreMembers, who.name, c); err != nil {
		return store.Member{}, err
	}
	d.log.Warn("the store's members", "do", c.Do, "name", c.Name, "address", c.Address, "who", who.name, "reason", strings.TrimSpace(c.Reason))
	if c.Do == "add" {
		return d.member.AddMember(ctx, c.Name, address)
	}
	return d.member.RemoveMember(ctx, c.Name)
}

// membersRefused gives what can't be done, whoever asks, its status.
func membersRefused(err error) error {
	if errors.Is(err, etcd.ErrAlone) || errors.Is(err, etcd.ErrMembers) {
		return &refusal{http.StatusUnprocessableEntity, err}
	}
	return err
}
