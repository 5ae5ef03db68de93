package ctl

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
)

// plain makes text from outside safe for a terminal: what is not printable is
// shown, never sent.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, s)
}

// lines is plain for text of several lines.
func lines(s string) string {
	parts := strings.Split(s, "\n")
	for i := range parts {
		parts[i] = plain(parts[i])
	}
	return strings.Join(parts, "\n")
}

// escaped makes JSON safe for a terminal, and leaves its meaning: what is not
// printable, and JSON allows in a string, is written as an escape.
func escaped(b []byte) string {
	var out strings.Builder
	for _, r := range string(b) {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			out.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}

func (t *tool) status(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return &usageError{"status takes no arguments"}
	}
	var st engine.Status
	if err := t.ask(ctx, http.MethodGet, "/api/v1/status", nil, &st); err != nil || t.json {
		return err
	}
	w := tabwriter.NewWriter(t.Out, 0, 8, 2, ' ', 0)
	defer func() { _ = w.Flush() }() // nobody is left to tell
	fmt.Fprintf(w, "daemon\t%s\nconfiguration\t%s\n", leads(&st), plain(st.Config.Hash))
	if st.Loaded != "" && st.Loaded != st.Config.Hash && (st.Leading || st.StandsBy) {
		fmt.Fprintf(w, "\tthis replica has another, %s, and does not lead while one is present that has it\n", plain(st.Loaded))
	}
	if len(st.Present) > 1 {
		showPresent(w, &st)
	}
	if st.KillFile != "" {
		fmt.Fprintf(w, "killed\t%s\n", plain(st.KillFile))
	}
	if k := st.Controls.Killed; k != nil {
		fmt.Fprintf(w, "killed\tby %s: %s\n", plain(k.Who), plain(k.Reason))
	}
	if f := st.Store.Frozen; f != nil {
		fmt.Fprintf(w, "FROZEN\t%s\n\tcompare, then: signalboxctl store confirm --reason TEXT\n", plain(f.Why))
	}
	for _, p := range st.Controls.Pauses {
		until := "until resumed"
		if !p.Until.IsZero() {
			until = "until " + p.Until.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "paused\t%s %s, by %s: %s\n", plain(p.Scope), until, plain(p.Who), plain(p.Reason))
	}
	for _, s := range st.Stopped {
		fmt.Fprintf(w, "stopped\t%s: actions did not help; signalboxctl release '%s'\n", plain(string(s)), plain(string(s)))
	}
	showThrown(w, st.Thrown)
	fmt.Fprintf(w, "pages owed\t%d\nincidents\t%d\n", st.Owed, len(st.Incidents))
	for _, inc := range st.Incidents {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", inc.ID, plain(inc.Reading.Subject), inc.Reading.Condition, inc.Verdict, plain(why(inc.Because)))
	}
	return nil
}

// leads tells what the daemon does among the replicas.
func leads(st *engine.Status) string {
	switch {
	case st.Leading:
		return "leads, its store answers"
	case st.StandsBy && st.Leader != "":
		return "stands by: " + plain(st.Leader) + " leads, ask it for what is to be changed"
	case st.StandsBy:
		return "stands by: another replica leads"
	}
	return "does NOT lead, or has no store: nothing is remediated"
}

// showPresent tells which replicas are there.
func showPresent(w io.Writer, st *engine.Status) {
	var names []string
	for _, p := range st.Present {
		name := plain(p.Replica)
		if p.Replica == st.Leader {
			name += " (leads)"
		}
		if p.Config != st.Config.Hash {
			name += " (configuration " + plain(p.Config[:min(12, len(p.Config))]) + ")"
		}
		names = append(names, name)
	}
	fmt.Fprintf(w, "replicas\t%s\n", strings.Join(names, ", "))
}

func showThrown(w io.Writer, thrown []signalbox.Thrown) {
	for _, th := range thrown {
		fmt.Fprintf(w, "thrown\t%s\n\tby hand: %s\n", plain(th.What), plain(th.ByHand))
	}
}

// why tells the reasons that hold, or the last one.
func why(rs []signalbox.Reason) string {
	var held []string
	for _, r := range rs {
		if !r.Passed {
			held = append(held, r.Guard+": "+r.Detail)
		}
	}
	if len(held) == 0 && len(rs) > 0 {
		last := rs[len(rs)-1]
		held = append(held, last.Guard+": "+last.Detail)
	}
	return strings.Join(held, "; ")
}

// gist shortens an entry's data to what a line can hold.
func gist(data json.RawMessage) string {
	var d struct {
		Verdict signalbox.Verdict
		Outcome signalbox.Outcome
		Because []signalbox.Reason
		Step    *signalbox.Step
		Phase   signalbox.Phase
		Receipt signalbox.Receipt
		Says    string
		Why     string
	}
	if json.Unmarshal(data, &d) != nil {
		return string(data)
	}
	parts := []string{string(d.Verdict), string(d.Outcome), string(d.Phase), d.Receipt.Detail, d.Says, d.Why, why(d.Because)}
	if d.Step != nil {
		parts = append(parts, d.Step.Name+" to "+d.Step.To)
	}
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, ", ")
}
