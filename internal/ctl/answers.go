package ctl

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
)

// answerer returns a command that answers a request for approval.
func answerer(word string) func(*tool, context.Context, []string) error {
	return func(t *tool, ctx context.Context, args []string) error {
		fs := flag.NewFlagSet(word, flag.ContinueOnError)
		body := struct {
			Answer string `json:"answer"`
			Reason string `json:"reason,omitempty"`
		}{Answer: word}
		fs.StringVar(&body.Reason, "reason", "", "why, for the journal")
		rest, err := t.flags(fs, args, 1)
		if err != nil {
			return err
		}
		if word == "deny" && strings.TrimSpace(body.Reason) == "" {
			return &usageError{"deny needs --reason, for the journal and for those who are paged"}
		}
		var a signalbox.Approval
		if err := t.ask(ctx, http.MethodPost, "/api/v1/approvals/"+url.PathEscape(rest[0]), body, &a); err != nil || t.json {
			return err
		}
		fmt.Fprintf(t.Out, "%s %s, by %s, for incident %s\n", plain(string(a.State)), plain(string(a.ID)), plain(a.Who), plain(string(a.Incident)))
		return nil
	}
}

func (t *tool) approvals(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return &usageError{"approvals takes no arguments"}
	}
	var list []signalbox.Approval
	if err := t.ask(ctx, http.MethodGet, "/api/v1/approvals", nil, &list); err != nil || t.json {
		return err
	}
	if len(list) == 0 {
		fmt.Fprintln(t.Out, "nothing waits for an approval")
	}
	for i := range list {
		a := &list[i]
		fmt.Fprintf(t.Out, "%s  %s  policy %s, incident %s: %s\n", plain(string(a.ID)), approvalState(a), plain(a.Policy), plain(string(a.Incident)), plain(a.Why))
		for _, line := range a.Plan {
			fmt.Fprintf(t.Out, "    %s\n", plain(line))
		}
	}
	return nil
}

// approvalState says in words where a request stands.
func approvalState(a *signalbox.Approval) string {
	switch a.State {
	case signalbox.Asked:
		text := "waits until " + stamp(a.Expires)
		if a.TwoPersons && a.Trigger != "" {
			text += ", for another than " + plain(a.Trigger)
		}
		return text
	case signalbox.Used:
		return fmt.Sprintf("used by action %s, approved by %s", plain(string(a.Action)), plain(a.Who))
	case signalbox.Approved, signalbox.Denied:
	}
	text := fmt.Sprintf("%s by %s at %s", plain(string(a.State)), plain(a.Who), stamp(a.At))
	if a.Reason != "" {
		text += " (" + plain(a.Reason) + ")"
	}
	return text
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (t *tool) policies(ctx context.Context, args []string) error {
	if len(args) > 1 {
		return &usageError{"policies takes one name at the most"}
	}
	var list []engine.PolicyStatus
	if err := t.ask(ctx, http.MethodGet, "/api/v1/policies", nil, &list); err != nil || t.json {
		return err
	}
	if len(args) == 1 {
		for i := range list {
			if list[i].Name == args[0] {
				t.record(&list[i])
				return nil
			}
		}
		return fmt.Errorf("no policy %q in the configuration in force", args[0])
	}
	w := tabwriter.NewWriter(t.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "POLICY\tCONFIGURED\tNOW\tACTIONS\tRECOVERED\tNOT\tBY HAND\tDENIED")
	for _, p := range list {
		r := p.Record
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\n", plain(p.Name), p.Configured, p.Effective, r.Actions, r.Recovered, r.NotRecovered, r.ByHand, r.Denied)
	}
	return w.Flush()
}

// further is what a policy is promoted to, by a change of the configuration.
var further = map[signalbox.Autonomy]signalbox.Autonomy{
	signalbox.AutonomyShadow: signalbox.AutonomySuggest, signalbox.AutonomySuggest: signalbox.AutonomyApprove, signalbox.AutonomyApprove: signalbox.AutonomyAuto,
}

// record prints what argues for a policy's promotion, and against it. Only a
// reviewed change of the configuration promotes.
func (t *tool) record(p *engine.PolicyStatus) {
	name, r, w := plain(p.Name), p.Record, t.Out
	fmt.Fprintf(w, "policy %s is in %s", name, plain(string(p.Effective)))
	if p.Effective != p.Configured {
		fmt.Fprintf(w, ", its configuration says %s", plain(string(p.Configured)))
	}
	fmt.Fprintf(w, "\nthis version is active since %s; its record begins %s\n", stamp(p.ActivatedAt), stamp(r.Since))
	fmt.Fprintf(w, "in shadow it would have acted on %d incidents; it suggested %d plans\n", r.Would, r.Suggested)
	fmt.Fprintf(w, "it took %d actions: %d recovered, %d did not help, %d could not be verified\n", r.Actions, r.Recovered, r.NotRecovered, r.Unverified)
	fmt.Fprintf(w, "people approved %d and denied %d, and took %d back by hand; it was demoted %d times\n", r.Approved, r.Denied, r.ByHand, r.Demotions)
	if against := r.NotRecovered + r.Unverified + r.ByHand + r.Denied + r.Demotions; against > 0 {
		fmt.Fprintf(w, "against a promotion: %d times it did not help, could not be verified, or was refused, taken back or demoted\n", against)
	}
	if seen := r.Would + r.Suggested + r.Recovered; seen == 0 {
		fmt.Fprintln(w, "nothing argues for a promotion: it has not been seen at work")
	} else {
		fmt.Fprintf(w, "for a promotion: %d times it acted and the incident recovered, or it showed what it would do\n", seen)
	}
	if d := p.Demoted; d != nil {
		fmt.Fprintf(w, "demoted to %s at %s: %s\n  back to %s: signalboxctl restore %s\n", plain(string(d.To)), stamp(d.At), plain(d.Why), plain(string(p.Configured)), name)
	}
	if next, ok := further[p.Configured]; ok {
		fmt.Fprintf(w, "to promote it, change `autonomy: %s` of policy %s to `autonomy: %s` in the configuration, have it reviewed, and reload\n", plain(string(p.Configured)), name, next)
	}
}
