package ctl

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/journal"
)

var update = flag.Bool("update", false, "write the golden files")

var began = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// lagging is an explanation of an incident that is open, with one decision.
func lagging(verdict signalbox.Verdict, because ...signalbox.Reason) engine.Explanation {
	inc := signalbox.Incident{ID: "0123456789abcdef", Owner: "backend", OnsetAt: began}
	inc.Reading = signalbox.Reading{
		Detector: "reads-lag", Subject: "db/eu", Condition: signalbox.Breached, HasValue: true, Value: 6.03, Unit: signalbox.Seconds, Threshold: "above 1s",
	}
	matched := signalbox.Reason{Guard: "match", Passed: true, Detail: "policy \"failover\": when is true: value > duration(\"1s\")"}
	d := &signalbox.Decision{Verdict: verdict, Because: append([]signalbox.Reason{matched}, because...)}
	data, err := json.Marshal(d)
	if err != nil {
		panic(err)
	}
	return engine.Explanation{Incident: inc, Decision: d, Entries: []journal.Entry{{At: began.Add(time.Second), Kind: journal.Decision, Data: data}}}
}

func throwB() *signalbox.Step {
	return &signalbox.Step{Kind: "endpoint", Name: "read-endpoint", To: "replica-b"}
}

func explanations() map[string]engine.Explanation {
	held := lagging(signalbox.Hold, signalbox.Reason{Guard: "cooldown", Detail: "last action 4m ago, cooldown 15m", Lifts: "passes at 10:12:00Z"})
	held.Incident.ETA = &signalbox.Control{Who: "ada", Until: began.Add(time.Hour), Reason: "the vacuum ends"}
	held.Pages = []engine.PageStatus{
		{Owner: "backend", Why: "policy failover did not throw", SentAt: began.Add(time.Minute)},
		{Owner: "backend", Rung: signalbox.BackupRung, Why: "not acknowledged", SentAt: began.Add(6 * time.Minute), AckedAt: began.Add(7 * time.Minute), AckedBy: "ada"},
	}
	waiting := lagging(signalbox.Hold, signalbox.Reason{Guard: "approval", Detail: "policy failover is in approve: 0123456789ab is asked for", Lifts: "signalboxctl approve 0123456789ab"})
	waiting.Decision.Step = throwB()
	waiting.Approvals = []signalbox.Approval{{ID: "0123456789ab", State: signalbox.Asked, Expires: began.Add(time.Hour), TwoPersons: true, Trigger: "bob"}}
	acted := lagging(signalbox.Verify, signalbox.Reason{Guard: "verify", Passed: true, Detail: "clear for 5m"})
	acted.Actions = []signalbox.Action{{ID: "act-1", Step: *throwB(), Stage: signalbox.Done, Outcome: signalbox.Recovered, Forecast: signalbox.Forecast{ByHand: "kubectl patch configmap core-env"}}}
	taken := lagging(signalbox.Hold, signalbox.Reason{Guard: "hand", Detail: "incident/0123456789abcdef was taken by ada", Lifts: "signalboxctl release 'incident/0123456789abcdef'"})
	taken.Controls = []signalbox.Control{{Kind: signalbox.Take, Scope: "incident/0123456789abcdef", Who: "ada", At: began.Add(time.Minute), Reason: "looking"}}
	suggest := lagging(signalbox.Escalate, signalbox.Reason{Guard: "suggest", Detail: "policy failover suggests to throw read-endpoint to replica-b; it starts nothing", Lifts: "a reviewed change of the policy's autonomy to approve or auto"})
	suggest.Decision.Step = throwB()
	closed := lagging(signalbox.Resolve)
	closed.Decision = nil
	closed.Incident.End, closed.Incident.EndReason, closed.Incident.ClosedAt = signalbox.Acted, "an action helped", began.Add(10*time.Minute)
	closed.Actions = acted.Actions
	return map[string]engine.Explanation{
		"held": held, "approval": waiting, "acted": acted, "taken": taken, "suggest": suggest, "closed": closed,
		"cel_error": lagging(signalbox.Hold, signalbox.Reason{Guard: "condition", Detail: "whether policy failover matches can't be told: when: no such key: tier in labels.tier == \"gold\"", Lifts: "the condition becomes true, or its policy is corrected"}),
	}
}

// What is clear again, or no longer known, is not told as if it were so since its
// onset.
func TestExplainTellsSinceWhen(t *testing.T) {
	clear := lagging(signalbox.Hold).Incident
	clear.Reading.Condition, clear.ClearAt = signalbox.Clear, began.Add(2*time.Minute)
	unknown := lagging(signalbox.Hold).Incident
	unknown.Reading.Condition, unknown.Reading.Reason, unknown.UnknownAt = signalbox.Unknown, "no sample", began.Add(3*time.Minute)
	early := clear
	early.ClearAt = time.Time{}
	for want, inc := range map[string]signalbox.Incident{
		"breached since 2026-03-01T10:00:00Z":                                              lagging(signalbox.Hold).Incident,
		"breached at 2026-03-01T10:00:00Z, clear since 2026-03-01T10:02:00Z":               clear,
		"breached at 2026-03-01T10:00:00Z, unknown since 2026-03-01T10:03:00Z (no sample)": unknown,
		"breached at 2026-03-01T10:00:00Z, clear":                                          early,
	} {
		if got := since(&inc); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("%s: %v: got\n%s\nwant\n%s", name, err, got, want)
	}
}

func TestExplainGolden(t *testing.T) {
	for name, x := range explanations() {
		f := served(t, x)
		out, errs, code := run(t, "--server", f.URL, "explain", "0123")
		if code != OK {
			t.Fatalf("%s: %d %s", name, code, errs)
		}
		golden(t, "explain_"+name, out)
	}
}

func TestExplainOneDecision(t *testing.T) {
	f := served(t, explanations()["held"])
	out, _, code := run(t, "--server", f.URL, "explain", "0123#1")
	if code != OK {
		t.Fatalf("got %d", code)
	}
	golden(t, "explain_nth", out)
	if _, errs, code := run(t, "--server", f.URL, "explain", "0123#2"); code != Refused || errs == "" {
		t.Errorf("a decision that is not there: got %d %q", code, errs)
	}
}

func TestWhyNotGolden(t *testing.T) {
	x := explanations()["taken"]
	f := served(t, engine.WhyNot{Incident: x.Incident, Policy: "failover", Decision: *x.Decision})
	out, _, code := run(t, "--server", f.URL, "explain", "0123", "--why-not", "failover")
	if code != OK {
		t.Fatalf("got %d", code)
	}
	golden(t, "whynot", out)
}

func TestPoliciesGolden(t *testing.T) {
	p := engine.PolicyStatus{Configured: signalbox.AutonomyApprove, Effective: signalbox.AutonomySuggest}
	p.Name, p.ActivatedAt = "failover", began
	p.Record = signalbox.PolicyRecord{Since: began, Would: 4, Actions: 3, Recovered: 2, NotRecovered: 1, Approved: 3, Demotions: 1}
	p.Demoted = &signalbox.Demotion{To: signalbox.AutonomySuggest, At: began, Why: "it did not help"}
	f := served(t, []engine.PolicyStatus{p})
	table, _, _ := run(t, "--server", f.URL, "policies")
	golden(t, "policies", table)
	one, _, _ := run(t, "--server", f.URL, "policies", "failover")
	golden(t, "policy", one)
	for _, a := range f.asked {
		if a.method != "GET" {
			t.Errorf("it never promotes: asked %+v", a)
		}
	}
	if _, _, code := run(t, "--server", f.URL, "policies", "none"); code != Refused {
		t.Errorf("an unknown policy: got %d", code)
	}
}

func TestApprovalsGolden(t *testing.T) {
	a := explanations()["approval"].Approvals[0]
	a.Policy, a.Incident, a.Why, a.Plan = "failover", "0123456789abcdef", "policy failover is in approve", []string{"1. endpoint read-endpoint to replica-b"}
	denied := a
	denied.State, denied.Who, denied.At, denied.Reason = signalbox.Denied, evil, began, evil
	f := served(t, []signalbox.Approval{a, denied})
	out, _, _ := run(t, "--server", f.URL, "approvals")
	harmless(t, out)
	golden(t, "approvals", out)
}
