package app

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/people"
)

// asker is who asks, and what of it may be done. Where no people are
// configured everyone whom the server lets in may do everything but approve.
type asker struct {
	name   string
	known  bool // a person of the configuration
	person people.Person
	refuse func(verb people.Verb)
}

// open are the paths that need no person: what a probe and a scraper ask.
var open = map[string]bool{"/-/healthy": true, "/-/ready": true, "/metrics": true}

// door turns away whoever is nobody, before a path or a method is looked at:
// not even what exists is told.
func (d *daemon) door(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !open[r.URL.Path] {
			if _, err := d.asks(r); err != nil {
				d.metrics.refusals.WithLabelValues("nobody").Inc()
				d.log.Warn("request refused", "path", r.URL.Path, "from", r.RemoteAddr, "error", err)
				answer(w, nil, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// asks tells who a request is of. It is an error where people are configured
// and it is none of them.
func (d *daemon) asks(r *http.Request) (*asker, error) {
	rt := d.current()
	if rt == nil {
		return nil, &refusal{http.StatusServiceUnavailable, errors.New("the daemon has just begun")}
	}
	if rt.people.Count() == 0 {
		return &asker{name: whoIs(r), refuse: func(people.Verb) {}}, nil
	}
	if _, _, basic := r.BasicAuth(); basic && !checksPasswords(d.options.WebConfig) {
		// Nobody has compared the password: the user is a claim.
		r = r.Clone(r.Context())
		r.Header.Del("Authorization")
	}
	person, err := rt.people.Who(r)
	if err != nil {
		return nil, &refusal{http.StatusUnauthorized, err}
	}
	return &asker{name: person.Name, known: true, person: person, refuse: func(verb people.Verb) {
		d.metrics.refusals.WithLabelValues(string(verb)).Inc()
		d.log.Warn("request refused", "path", r.URL.Path, "who", person.Name, "needs", verb)
	}}, nil
}

// must refuses who may not do something in any of the scopes (none: on
// everything), and names the right that is missing.
func (a *asker) must(do people.Verb, scopes ...string) error {
	if !a.known || a.person.May(do, scopes...) {
		return nil
	}
	return a.lacks(do, scopes)
}

func (a *asker) lacks(do people.Verb, scopes []string) error {
	a.refuse(do)
	return &refusal{http.StatusForbidden, fmt.Errorf("%s may not: it needs the right to %s on %s", a.name, do, cmp.Or(strings.Join(scopes, " or "), "all"))}
}

// mustSee refuses who may not view an incident. One that was not found is
// viewed by those who may view all.
func (a *asker) mustSee(inc *signalbox.Incident) error {
	var scopes []string
	if inc.Owner != "" {
		scopes = append(scopes, "owner/"+inc.Owner)
	}
	if inc.Plan != nil {
		scopes = append(scopes, "policy/"+inc.Plan.Policy)
	}
	return a.must(people.View, scopes...)
}

// mayControl refuses a control that its person has no right to. Kill needs its
// own right, and so does lifting it; both are about everything.
func (a *asker) mayControl(c signalbox.Control, scopes []string, killed bool) error {
	switch {
	case c.Kind == signalbox.Kill, c.Kind == signalbox.Resume && c.Scope == "all" && killed:
		return a.must(people.Kill)
	case c.Kind == signalbox.Confirm:
		return a.must(people.Store)
	case c.Kind == signalbox.Release && !strings.Contains(c.Scope, "/") && c.Scope != "all":
		return a.must(people.Control, "target/"+c.Scope)
	}
	return a.must(people.Control, scopes...)
}

// mayApprove refuses who may approve neither on the policy, nor on the owner,
// nor on every target.
func (a *asker) mayApprove(asked *signalbox.Approval, owner string) error {
	scopes := []string{"policy/" + asked.Policy}
	if owner != "" {
		scopes = append(scopes, "owner/"+owner)
	}
	if a.person.May(people.Approve, scopes...) {
		return nil
	}
	all := len(asked.Targets) > 0
	for _, t := range asked.Targets {
		all = all && a.person.May(people.Approve, "target/"+string(t))
	}
	if all {
		return nil
	}
	return a.lacks(people.Approve, scopes)
}
