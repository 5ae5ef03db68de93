package ctl

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/kind"
)

func (t *tool) explain(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("explain", flag.ContinueOnError)
	policy := fs.String("why-not", "", "why this policy does not act on it")
	rest, err := t.flags(fs, args, 1)
	if err != nil {
		return err
	}
	id, number, numbered := strings.Cut(rest[0], "#")
	if *policy != "" {
		if numbered {
			return &usageError{"--why-not is about now, not about a decision of before"}
		}
		return t.whyNot(ctx, id, *policy)
	}
	n := 0
	if numbered {
		if n, err = strconv.Atoi(number); err != nil || n < 1 {
			return &usageError{fmt.Sprintf("a decision is INCIDENT#N, with N from 1, got %q", rest[0])}
		}
	}
	var x engine.Explanation
	if err := t.ask(ctx, http.MethodGet, incidentPath(id), nil, &x); err != nil || t.json {
		return err
	}
	if n > 0 {
		return showNth(t.Out, &x, n)
	}
	showExplanation(t.Out, &x)
	return nil
}

func (t *tool) whyNot(ctx context.Context, id, policy string) error {
	var x engine.WhyNot
	q := url.Values{"incident": {id}, "policy": {policy}}
	if err := t.ask(ctx, http.MethodGet, "/api/v1/whynot?"+q.Encode(), nil, &x); err != nil || t.json {
		return err
	}
	w, d := t.Out, &x.Decision
	showSeen(w, &x.Incident)
	switch d.Verdict {
	case signalbox.Act:
		fmt.Fprintf(w, "policy %s: nothing holds it\n", plain(x.Policy))
	case signalbox.Preview:
		fmt.Fprintf(w, "policy %s: nothing holds it so far, and its target was not looked at lately\n", plain(x.Policy))
	default:
		fmt.Fprintf(w, "policy %s does not act\n", plain(x.Policy))
	}
	if d.Step != nil {
		fmt.Fprintf(w, "  its next step: %s\n", step(d.Step))
	}
	showReasons(w, d.Because)
	showLifts(w, d.Because)
	return nil
}

// showNth tells the n-th decision that was journaled.
func showNth(w io.Writer, x *engine.Explanation, n int) error {
	count := 0
	for _, e := range x.Entries {
		if e.Kind != journal.Decision {
			continue
		}
		if count++; count != n {
			continue
		}
		var d struct {
			signalbox.Decision
			Reading *signalbox.Reading `json:"reading"`
		}
		if err := json.Unmarshal(e.Data, &d); err != nil {
			return fmt.Errorf("decision %d can't be read: %w", n, err)
		}
		inc := x.Incident
		if d.Reading != nil {
			inc.Reading = *d.Reading
		}
		showSeen(w, &inc)
		fmt.Fprintf(w, "decision %d, at %s\n", n, stamp(e.At))
		showDecision(w, &d.Decision)
		return nil
	}
	return fmt.Errorf("the journal holds %d decisions of incident %s, not %d", count, plain(string(x.Incident.ID)), n)
}

func showExplanation(w io.Writer, x *engine.Explanation) {
	showSeen(w, &x.Incident)
	if x.Decision != nil {
		fmt.Fprintln(w, "now")
		showDecision(w, x.Decision)
	}
	showPeople(w, x)
	showDone(w, x)
	showEvidence(w, &x.Incident)
	fmt.Fprintln(w, "journal")
	n := 0
	for _, e := range x.Entries {
		number := ""
		if e.Kind == journal.Decision {
			n++
			number = fmt.Sprintf("#%d ", n)
		}
		who := ""
		if e.Who != "" {
			who = ", by " + plain(e.Who)
		}
		fmt.Fprintf(w, "  %s  %-18s %s%s%s\n", e.At.UTC().Format("15:04:05.000"), e.Kind, number, plain(gist(e.Data)), who)
	}
}

// showSeen tells what is ill, and how it is known.
func showSeen(w io.Writer, inc *signalbox.Incident) {
	r := &inc.Reading
	fmt.Fprintf(w, "incident %s: %s, owner %s\n", plain(string(inc.ID)), plain(r.Subject), plain(inc.Owner))
	fmt.Fprintf(w, "  seen: detector %s, %s", plain(r.Detector), since(inc))
	if r.HasValue {
		fmt.Fprintf(w, ", %s against %s", kind.Format(float64(r.Value), r.Unit), plain(r.Threshold))
	}
	fmt.Fprintln(w)
	switch {
	case inc.Closed():
		fmt.Fprintf(w, "  ended %s at %s: %s\n", plain(string(inc.End)), stamp(inc.ClosedAt), plain(inc.EndReason))
	case inc.ETA != nil:
		fmt.Fprintf(w, "  expected to be over at %s, says %s: %s\n", stamp(inc.ETA.Until), plain(inc.ETA.Who), plain(inc.ETA.Reason))
	default:
		fmt.Fprintln(w, "  expected end: unknown, nobody gave one")
	}
}

// since tells since when it is ill, and since when it is not, or is not known to
// be.
func since(inc *signalbox.Incident) string {
	condition, at := inc.Reading.Condition, inc.ClearAt
	switch condition {
	case signalbox.Breached:
		return "breached since " + stamp(inc.OnsetAt)
	case signalbox.Unknown:
		at = inc.UnknownAt
	}
	text := "breached at " + stamp(inc.OnsetAt) + ", " + plain(fmt.Sprint(condition))
	if !at.IsZero() {
		text += " since " + stamp(at)
	}
	if inc.Reading.Reason != "" {
		text += " (" + plain(inc.Reading.Reason) + ")"
	}
	return text
}

// showEvidence tells what was found around the incident when it opened.
func showEvidence(w io.Writer, inc *signalbox.Incident) {
	if len(inc.Evidence) == 0 {
		return
	}
	fmt.Fprintf(w, "evidence, looked for at %s\n", stamp(inc.LookedAt))
	for _, f := range inc.Evidence {
		at := "        "
		if !f.At.IsZero() {
			at = f.At.UTC().Format("15:04:05")
		}
		fmt.Fprintf(w, "  %s  %s: %s", at, plain(f.Name), plain(f.Text))
		if f.Link != nil {
			fmt.Fprintf(w, " <%s>", plain(f.Link.Href))
		}
		fmt.Fprintln(w)
	}
}

// showDecision tells what was decided and considered.
func showDecision(w io.Writer, d *signalbox.Decision) {
	fmt.Fprintf(w, "  decided: %s", plain(string(d.Verdict)))
	if d.Step != nil {
		fmt.Fprintf(w, ", %s", step(d.Step))
	}
	fmt.Fprintln(w)
	showReasons(w, d.Because)
	showLifts(w, d.Because)
	if !d.Until.IsZero() {
		fmt.Fprintf(w, "  looked at again by %s, or when something of it changes\n", stamp(d.Until))
	}
	for _, s := range d.Shadow {
		fmt.Fprintf(w, "  policy %s only watches; it would say %s\n", plain(s.Policy), plain(string(s.Verdict)))
		showReasons(w, s.Because)
	}
}

func showReasons(w io.Writer, rs []signalbox.Reason) {
	for _, r := range rs {
		mark := "passed"
		if !r.Passed {
			mark = "HELD"
		}
		fmt.Fprintf(w, "  %-7s %-14s %s\n", mark, plain(r.Guard), plain(r.Detail))
	}
}

// showLifts tells what would change the answer.
func showLifts(w io.Writer, rs []signalbox.Reason) {
	for _, r := range rs {
		if !r.Passed && r.Lifts != "" {
			fmt.Fprintf(w, "  would change it (%s): %s\n", plain(r.Guard), plain(r.Lifts))
		}
	}
}

// showPeople tells what people said, and who was told.
func showPeople(w io.Writer, x *engine.Explanation) {
	for i := range x.Approvals {
		a := &x.Approvals[i]
		fmt.Fprintf(w, "approval %s: %s\n", plain(string(a.ID)), approvalState(a))
	}
	for _, c := range x.Controls {
		fmt.Fprintf(w, "control: %s %s by %s at %s", plain(string(c.Kind)), plain(c.Scope), plain(c.Who), stamp(c.At))
		if !c.Until.IsZero() {
			fmt.Fprintf(w, ", until %s", stamp(c.Until))
		}
		fmt.Fprintf(w, ": %s\n", plain(c.Reason))
	}
	for _, p := range x.Pages {
		rung := string(p.Rung)
		if p.Rung == signalbox.PrimaryRung {
			rung = "primary"
		}
		said := "not sent yet"
		if !p.SentAt.IsZero() {
			said = "at " + stamp(p.SentAt) + ", not acknowledged"
		}
		if !p.AckedAt.IsZero() {
			said = fmt.Sprintf("at %s, acknowledged by %s at %s", stamp(p.SentAt), plain(p.AckedBy), stamp(p.AckedAt))
		}
		if p.Error != "" {
			said += "; the pager says: " + plain(p.Error)
		}
		fmt.Fprintf(w, "paged: %s (%s) %s: %s\n", plain(p.Owner), plain(rung), said, plain(p.Why))
	}
	if len(x.Pages) == 0 {
		fmt.Fprintln(w, "paged: nobody")
	}
}

// showDone tells what was done, and how it is taken back by hand.
func showDone(w io.Writer, x *engine.Explanation) {
	if len(x.Actions) == 0 {
		fmt.Fprintln(w, "done: nothing")
	}
	for i := range x.Actions {
		a := &x.Actions[i]
		outcome := string(a.Outcome)
		if outcome == "" {
			outcome = "whether it helped is not known yet"
		}
		fmt.Fprintf(w, "done: action %s, %s: %s, %s\n", plain(string(a.ID)), step(&a.Step), plain(string(a.Stage)), plain(strings.ReplaceAll(outcome, "_", " ")))
		if a.Reason != "" {
			fmt.Fprintf(w, "  %s\n", plain(a.Reason))
		}
		if a.Undone != "" {
			fmt.Fprintf(w, "  taken back by action %s\n", plain(string(a.Undone)))
		} else if a.Forecast.ByHand != "" {
			fmt.Fprintf(w, "  back by hand: %s\n", plain(a.Forecast.ByHand))
		}
	}
	for _, m := range x.Incident.Marks {
		fmt.Fprintf(w, "step %d %s at %s: %s\n", m.Index+1, plain(string(m.State)), stamp(m.At), plain(m.Why))
	}
}

// step names a step for people.
func step(s *signalbox.Step) string {
	if s.To == "" {
		return plain(s.Kind + " " + s.Name)
	}
	return plain(s.Kind + " " + s.Name + " to " + s.To)
}
