package config

import (
	"fmt"
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/people"
	"github.com/signalbox/signalbox/policy"
)

func (l *loader) owner(name string, s spot) {
	l.ownerOf[name] = nil
	from := len(s.report.list)
	var keys ownerKeys
	l.settle(s, nil, &keys)
	key, remediator, settings := l.chosen(s, l.reaches, func(r kind.Remediator) map[string]func() kind.Settings { return r.Owner })
	second := l.secondChannel(name, s)
	if len(s.report.list) > from {
		return
	}
	in := kind.SpecInput{Name: name, Backend: key, Settings: settings, Source: l.sourceByName, ConfigDir: l.dir}
	page, ok := l.pageOf(s.key(key), remediator, in)
	if !ok {
		return
	}
	o := &Owner{Name: name, Primary: keys.Primary, Backup: keys.Backup, Place: s.place, Page: *page, Second: second}
	o.Policy = l.ladder(s, key, keys, settings, o, remediator, in)
	l.ownerOf[name] = o
	l.cfg.Owners = append(l.cfg.Owners, o)
	l.cfg.Policy.Owners = append(l.cfg.Policy.Owners, o.Policy)
}

// pageOf is the page step of a rung; nil where the settings have none.
func (l *loader) pageOf(s spot, r kind.Remediator, in kind.SpecInput) (*signalbox.Step, bool) {
	spec, err := r.Spec(in)
	if err != nil {
		s.fail(err.Error(), nil)
		return nil, false
	}
	if spec == nil {
		return nil, true
	}
	return &signalbox.Step{Kind: r.Name, Name: in.Name, Spec: spec}, true
}

// ladder is who escalates, and to whom: the pager or the daemon, never both and
// never neither.
func (l *loader) ladder(s spot, key string, keys ownerKeys, settings kind.Settings, o *Owner, r kind.Remediator, in kind.SpecInput) policy.Owner {
	out := policy.Owner{Name: o.Name, Informs: keys.Informs}
	in.Rung = signalbox.BackupRung
	backup, _ := l.pageOf(s.key(key), r, in)
	own, _ := settings.(kind.Escalator)
	if keys.Escalation != "daemon" {
		for _, name := range []string{"acknowledge_within", "last_resort"} {
			if at := s.key(name); at.has() {
				at.fail("must not be given where escalation is pagerduty: its escalation policy goes on to others, and two must not", nil)
			}
		}
		if backup != nil && own != nil {
			s.key("escalation").fail("must be daemon where the backup has a key of its own: else nobody would page it", keys.Escalation)
		}
		return out
	}
	if own != nil && own.Escalates() {
		s.key("escalation").fail("must be pagerduty where an escalation policy is given: two must not escalate", keys.Escalation)
	}
	if backup == nil && keys.LastResort == "" {
		s.key("escalation").fail("must be pagerduty where there is neither a backup's key nor a last_resort: there is nobody to escalate to", keys.Escalation)
	}
	if backup != nil && keys.Backup == "" {
		s.key("backup").fail("is required where the backup has a key: who is it", nil)
	}
	o.BackupPage = backup
	out.Escalates, out.AcknowledgeWithin, out.LastResort, out.Backup = true, keys.AcknowledgeWithin.Std(), keys.LastResort, backup != nil
	return out
}

// secondChannel is how an owner is told when its pager fails; nil: it has none.
func (l *loader) secondChannel(name string, s spot) *signalbox.Step {
	var given []string
	s.entries(func(key string, _ spot) {
		if _, ok := l.channels[key]; ok {
			given = append(given, key)
		}
	})
	if len(given) == 0 {
		return nil
	}
	if len(given) > 1 {
		s.exactlyOne(words(l.channels), given)
		return nil
	}
	from := len(s.report.list)
	r := l.channels[given[0]]
	settings := r.Channel[given[0]]()
	decodeAll(s.key(given[0]), 0, nil, settings)
	if len(s.report.list) > from {
		return nil
	}
	step, _ := l.pageOf(s.key(given[0]), r, kind.SpecInput{Name: name, Backend: given[0], Settings: settings, Source: l.sourceByName, ConfigDir: l.dir})
	return step
}

// ownerNames checks what owners say of each other, once all are known.
func (l *loader) ownerNames(root spot) {
	root.key("owners").entries(func(_ string, s spot) {
		s = s.asBlock("")
		reference(s.key("last_resort"), "an owner", l.ownerOf)
		for _, item := range items(s.key("informs")) {
			reference(item, "an owner", l.ownerOf)
		}
	})
}

// items are the spots of a list, or the one of a single value.
func items(s spot) []spot {
	if !s.has() || s.node.shape != sequence {
		return []spot{s}
	}
	out := make([]spot, len(s.node.items))
	for i, n := range s.node.items {
		out[i] = s.item(n)
	}
	return out
}

func (l *loader) ownership(s spot) {
	var keys ownershipKeys
	l.settle(s, nil, &keys)
	reference(s.key("owner"), "an owner", l.ownerOf)
	if keys.Detector == "" && keys.Subject == "" && keys.Target == "" && len(keys.Labels) == 0 {
		s.fail("must have a detector, labels, a subject or a target", nil)
	}
	if keys.Target != "" && (keys.Detector != "" || keys.Subject != "" || len(keys.Labels) > 0) {
		s.key("target").fail("must stand alone: it is about what an action touches, not about incidents", keys.Target)
	}
	l.cfg.Policy.Ownership = append(l.cfg.Policy.Ownership, policy.OwnerRule{
		Detector: keys.Detector, Labels: keys.Labels, Subject: keys.Subject, Target: keys.Target, Owner: keys.Owner,
	})
}

func (l *loader) person(name string, s spot) {
	var settings people.Settings
	l.settle(s, nil, &settings)
	for i, r := range settings.May {
		for j, on := range r.On {
			at := s.find(fmt.Sprintf("may[%d].on[%d]", i, j))
			l.scopeRule(at, on)
		}
	}
	l.cfg.People[name] = settings
}

// approvers counts, for each policy, the people who may approve it, and refuses
// policies whose steps nobody could approve.
func (l *loader) approvers(root spot) {
	all, err := people.New(l.cfg.People, l.dir)
	if err != nil {
		root.key("people").fail(err.Error(), nil)
		return
	}
	l.cfg.Policy.Approvers = map[string]int{}
	for _, p := range l.cfg.Policy.Policies {
		n, fewest := -1, ""
		for _, name := range p.On {
			for _, owner := range l.ownersOf(name) {
				if m := all.Approvers(p.Name, owner); n < 0 || m < n {
					n, fewest = m, owner
				}
			}
		}
		n = max(n, 0)
		l.cfg.Policy.Approvers[p.Name] = n
		need := 1
		if p.TwoPersons {
			need = 2
		}
		if p.Autonomy == policy.Approve && n < need {
			place := l.policyPlaces[p.Name]
			root.report.add(Problem{Place: place, Block: fmt.Sprintf("policy %q", p.Name), Path: "autonomy", Rule: fmt.Sprintf("must not be approve where fewer than %d people may approve it, for incidents of owner %q: give somebody the right under people", need, fewest), Value: string(p.Autonomy)})
		}
	}
}

// ownersOf are those whose a detector's incidents may be: its own owner, else
// whom the rules of ownership that may be of it and the default name.
func (l *loader) ownersOf(detector string) []string {
	d := l.detectorOf[detector]
	if d == nil {
		return []string{""}
	}
	if d.Owner != "" {
		return []string{d.Owner}
	}
	owners := []string{l.cfg.DefaultOwner}
	for _, r := range l.cfg.Policy.Ownership {
		if r.Target == "" && mayBe(r.Detector, detector) && mayBe(r.Subject, d.Subject.String()) {
			owners = append(owners, r.Owner)
		}
	}
	return owners
}

// mayBe reports whether a pattern may match what a template makes: where neither
// is known beyond its begin, that decides.
func mayBe(pattern, template string) bool {
	known, more := strings.CutSuffix(pattern, "*")
	if i := strings.IndexAny(known, "*?"); i >= 0 {
		known, more = known[:i], true
	}
	made, _, open := strings.Cut(template, "{{")
	switch {
	case pattern == "" || template == "":
		return true
	case !more && !open:
		return known == made
	}
	return strings.HasPrefix(known, made) && open || strings.HasPrefix(made, known) && more
}
