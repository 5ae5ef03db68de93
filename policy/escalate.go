package policy

import (
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// Climb says who is paged next, and when, where a page is not acknowledged. A
// ladder is the page of an owner's primary and those that were made of it, in
// that order. The backup follows when the one before it was not acknowledged in
// time, counted from when the pager took it, then the last resort; after that
// nobody is left. ok is false where nobody is to be paged: it is acknowledged,
// over, or not sent yet; or the pager escalates by a policy of its own.
func (h *Handbook) Climb(ladder []*signalbox.Page) (next signalbox.Rung, owner string, due time.Time, ok bool) {
	if len(ladder) == 0 || ladder[0].Event != signalbox.PageTrigger || slices.ContainsFunc(ladder, func(p *signalbox.Page) bool { return !p.AckedAt.IsZero() }) {
		return "", "", time.Time{}, false
	}
	o, top := h.Answers(ladder[0].Owner), ladder[len(ladder)-1]
	if !o.Escalates || top.SentAt.IsZero() {
		return "", "", time.Time{}, false
	}
	due = top.SentAt.Add(o.AcknowledgeWithin)
	switch {
	case top.Rung == signalbox.PrimaryRung && o.Backup:
		return signalbox.BackupRung, o.Name, due, true
	case top.Rung != signalbox.LastResortRung && o.LastResort != "" && o.LastResort != o.Name:
		return signalbox.LastResortRung, o.LastResort, due, true
	}
	return "", "", time.Time{}, false
}

// Owner returns what is configured of an owner.
func (h *Handbook) Owner(name string) (Owner, bool) {
	o, ok := h.owners[name]
	return o, ok
}

// Answers is who answers for an owner: itself, or the default owner for one that
// is gone from the configuration.
func (h *Handbook) Answers(name string) Owner {
	if o, ok := h.owners[name]; ok {
		return o
	}
	return h.owners[h.config.DefaultOwner]
}

// OwnerOf is the owner that the rules of ownership give to a reading; empty:
// none of them agrees.
func (h *Handbook) OwnerOf(r *signalbox.Reading) string {
	for i := range h.config.Ownership {
		o := &h.config.Ownership[i]
		if o.Target != "" || !like(o.Detector, r.Detector) || !like(o.Subject, r.Subject) {
			continue
		}
		all := true
		for name, pattern := range o.Labels {
			v, there := r.Labels[name]
			all = all && there && like(pattern, v)
		}
		if all {
			return o.Owner
		}
	}
	return ""
}

// OwnersOf are the owners that the rules of ownership give to targets, each
// once, in the order of the rules.
func (h *Handbook) OwnersOf(targets []signalbox.Target) (owners []string) {
	for i := range h.config.Ownership {
		o := &h.config.Ownership[i]
		if o.Target == "" || slices.Contains(owners, o.Owner) {
			continue
		}
		if slices.ContainsFunc(targets, func(t signalbox.Target) bool { return like(o.Target, string(t)) }) {
			owners = append(owners, o.Owner)
		}
	}
	return owners
}

// like matches a pattern in which * stands for any text; an empty one matches
// everything.
func like(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	first, last := parts[0], parts[len(parts)-1]
	if !strings.HasPrefix(text, first) || len(text) < len(first)+len(last) || !strings.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = rest
	}
	return true
}
