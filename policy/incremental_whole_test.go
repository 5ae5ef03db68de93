package policy

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// moving are the figures that move with the clock in what a decision tells:
// lengths of time as span writes them, and how many are within one.
var moving = regexp.MustCompile(`-?\b(\d+(\.\d+)?(h|ms|m|s|µs|ns))+\b|\b\d+ (of|times|touched)\b|\bat most \d+ \(`)

// lasting is all of a decision that does not move with the clock alone. What
// moves, and is not told anew for it:
//   - how long ago something was ("sample 12s old"), and how many were within a
//     time or a blast radius ("2 of 3 in 24h", "2 touched at once"): the figures
//     are left out, and the words around them are not;
//   - whether a change that has ended is still among the causes of a page: a page
//     is made at the decision that asked for it;
//   - of a request for approval, when it is asked and expires: it was asked at the
//     decision that was carried out;
//   - when something is looked at again: see dueInTime.
func lasting(d signalbox.Decision) string {
	d.GaveUp, d.Because, d.Shadow = timeless(d.GaveUp), timelessReasons(d.Because), slices.Clone(d.Shadow)
	for i := range d.Shadow {
		d.Shadow[i].Because = timelessReasons(d.Shadow[i].Because)
	}
	if d.Page != nil {
		p := *d.Page
		p.Why, d.Page = timeless(p.Why), &p
		p.Causes = slices.DeleteFunc(slices.Clone(p.Causes), func(c string) bool { return strings.HasPrefix(c, changeCause) })
	}
	if d.Mark != nil {
		m := *d.Mark
		m.Why, m.At, d.Mark = timeless(m.Why), time.Time{}, &m
	}
	if d.Approval != nil {
		if d.Page != nil {
			d.Page.Why = "" // tells when it expires
		}
		a := *d.Approval
		a.AskedAt, a.Expires, d.Approval = time.Time{}, time.Time{}, &a
		d.Because = slices.DeleteFunc(d.Because, func(r signalbox.Reason) bool { return r.Guard == "approval" })
	}
	d.Until = time.Time{}
	text, err := json.MarshalIndent(struct {
		signalbox.Decision
		Want  *signalbox.Want
		Reads []signalbox.Key
	}{d, d.Want, d.Reads}, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func timeless(text string) string { return moving.ReplaceAllString(text, "…") }

func timelessReasons(because []signalbox.Reason) []signalbox.Reason {
	because = slices.Clone(because)
	for i := range because {
		r := &because[i]
		r.Detail, r.Lifts = timeless(r.Detail), timeless(r.Lifts)
	}
	return because
}

// dueInTime says that a decision which was not due is looked at again no later
// than one that is taken now; empty: it is.
func dueInTime(was, now signalbox.Decision) string {
	if !now.Until.IsZero() && (was.Until.IsZero() || was.Until.After(now.Until)) {
		return fmt.Sprintf("it is looked at again at %s, and would be at %s", clock(was.Until), clock(now.Until))
	}
	return ""
}

// another says in what a decision that was not due differs from the one that is
// taken now; empty: in nothing.
func another(was, now signalbox.Decision) string {
	a, b := strings.Split(lasting(was), "\n"), strings.Split(lasting(now), "\n")
	if slices.Equal(a, b) {
		return dueInTime(was, now)
	}
	return fmt.Sprintf("%s\nof these it had\n%s\nand has now\n%s", tell(was), without(a, b), without(b, a))
}

// without are the lines of one text that another one has not.
func without(lines, of []string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return slices.Contains(of, line) }), "\n")
}
