package pipeline

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var moment = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// ran is a run that began so many hours ago and took a minute.
func ran(id int64, tag, conclusion string, hours int) run {
	at := moment.Add(-time.Duration(hours) * time.Hour)
	status := "completed"
	if conclusion == "" {
		status = "in_progress"
	}
	here := &origin{ID: 1}
	return run{
		ID: id, Attempt: 1, Status: status, Conclusion: conclusion, Branch: tag, SHA: "sha-" + tag, Event: "push",
		Created: at, Started: at, Updated: at.Add(time.Minute), Repository: here, Head: here,
	}
}

var versions = rule{tag: regexp.MustCompile(`^(?:v\d+\.\d+)$`), least: 24 * time.Hour}

func TestChoose(t *testing.T) {
	fork := ran(9, "v1.9", "success", 100)
	fork.Head = &origin{ID: 2}
	request := ran(9, "v1.9", "success", 100)
	request.Event = "pull_request"
	again := ran(1, "v1.1", "success", 900)
	again.Attempt, again.Started = 2, moment.Add(-100*time.Hour)
	again.Updated = again.Started.Add(time.Minute)
	for _, c := range []struct {
		name            string
		deploys, smokes []run
		want, refused   string
		passed          string
	}{
		{"the one before", []run{ran(3, "v1.3", "failure", 1), ran(2, "v1.2", "success", 50)}, []run{ran(12, "v1.2", "success", 49)}, "v1.2", "", ""},
		{"the failing one succeeded", []run{ran(3, "v1.3", "success", 30), ran(2, "v1.2", "success", 90)}, []run{ran(13, "v1.3", "success", 29), ran(12, "v1.2", "success", 89)}, "v1.2", "", "v1.3 is the one that was deployed last"},
		{"too short", []run{ran(3, "v1.3", "failure", 1), ran(2, "v1.2", "success", 20), ran(1, "v1.1", "success", 60)}, []run{ran(12, "v1.2", "success", 19), ran(11, "v1.1", "success", 59)}, "v1.1", "", "in production for 18h59m0s"},
		{"smoke failed", []run{ran(3, "v1.3", "failure", 1), ran(2, "v1.2", "success", 50), ran(1, "v1.1", "success", 90)}, []run{ran(12, "v1.2", "failure", 49), ran(11, "v1.1", "success", 89)}, "v1.1", "", "smoke tests that ended with failure"},
		{"smoke failed, then passed", []run{ran(3, "v1.3", "failure", 1), ran(2, "v1.2", "success", 50)}, []run{ran(12, "v1.2", "failure", 49), ran(14, "v1.2", "success", 48)}, "v1.2", "", ""},
		{"smoke under way", []run{ran(3, "v1.3", "failure", 1), ran(2, "v1.2", "success", 50)}, []run{ran(12, "v1.2", "success", 49), ran(14, "v1.2", "", 2)}, "", "ended with in_progress", ""},
		{"smoke of before", []run{ran(3, "v1.3", "failure", 1), ran(2, "v1.2", "success", 50)}, []run{ran(12, "v1.2", "success", 51)}, "", "no smoke tests since", ""},
		{"deploy failed", []run{ran(3, "v1.3", "failure", 1), ran(2, "v1.2", "failure", 50), ran(1, "v1.1", "success", 90)}, []run{ran(12, "v1.2", "success", 49), ran(11, "v1.1", "success", 89)}, "v1.1", "", "ended with failure"},
		{"taken back before", []run{ran(4, "v1.4", "failure", 1), ran(3, "v1.2", "success", 40), ran(2, "v1.3", "success", 90), ran(1, "v1.2", "success", 200)}, []run{ran(13, "v1.2", "success", 39), ran(12, "v1.3", "success", 89)}, "v1.2", "", ""},
		{"never back to what was taken back", []run{ran(3, "v1.2", "success", 1), ran(2, "v1.3", "success", 90), ran(1, "v1.2", "success", 200), ran(0, "v1.1", "success", 400)}, []run{ran(12, "v1.3", "success", 89), ran(11, "v1.1", "success", 399)}, "v1.1", "", "it was taken back"},
		{"a branch", []run{ran(3, "v1.3", "failure", 1), ran(2, "main", "success", 50)}, []run{ran(12, "main", "success", 49)}, "", "among 2 deploys: v1.3 is the one", ""},
		{"under way", []run{ran(3, "v1.3", "", 1), ran(2, "v1.2", "success", 50)}, []run{ran(12, "v1.2", "success", 49)}, "", "a deploy is under way", ""},
		{"a fork", []run{ran(3, "v1.3", "failure", 1), fork}, []run{ran(12, "v1.9", "success", 49)}, "", "among 1 deploys", ""},
		{"a pull request", []run{ran(3, "v1.3", "failure", 1), request}, []run{ran(12, "v1.9", "success", 49)}, "", "among 1 deploys", ""},
		{"an old run that was run again", []run{ran(3, "v1.3", "failure", 1), again, ran(2, "v1.2", "failure", 200)}, []run{ran(11, "v1.1", "success", 90)}, "v1.1", "", ""},
		{"nothing", nil, nil, "", "no run of the deploy workflow", ""},
		{"only the failing one", []run{ran(3, "v1.3", "failure", 1), ran(2, "v1.3", "success", 90)}, []run{ran(12, "v1.3", "success", 89)}, "", "is the one that was deployed last", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, refused := versions.choose(c.deploys, c.smokes, moment)
			if got.tag != c.want || (refused == "") != (c.refused == "") || !strings.Contains(refused, c.refused) || !strings.Contains(got.why(), c.passed) {
				t.Errorf("got %q, refused %q, passed over %q", got.tag, refused, got.why())
			}
		})
	}
}

// A deploy of long ago is not taken for what is wrong now.
func TestDeployedWithin(t *testing.T) {
	deploys, smokes := []run{ran(3, "v1.3", "success", 3), ran(2, "v1.2", "success", 50)}, []run{ran(12, "v1.2", "success", 49)}
	u := versions
	for within, refused := range map[time.Duration]string{
		0: "", 3 * time.Hour: "",
		3*time.Hour - time.Second: "the newest deploy began 3h0m0s ago, and only one of the last 2h59m59s is taken for the cause: run 3 of v1.3",
	} {
		u.within = within
		if got, why := u.choose(deploys, smokes, moment); (why == "") != (refused == "") || !strings.HasPrefix(why, refused) || (got.tag == "v1.2") != (why == "") {
			t.Errorf("%s: got %q, refused %q", within, got.tag, why)
		}
	}
}

// What is chosen has a deploy and smoke tests that passed, was in production
// long enough, is not the failing one, and does not depend on the list's order.
func TestChooseHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := func(label string, most int) []run {
			return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) run {
				return ran(rapid.Int64Range(1, 1<<40).Draw(t, "id"), rapid.SampledFrom([]string{"v1.1", "v1.2", "v1.3", "main"}).Draw(t, "tag"),
					rapid.SampledFrom([]string{"success", "failure", "cancelled", "skipped", "success"}).Draw(t, "conclusion"), rapid.IntRange(1, 300).Draw(t, "hours"))
			}), 0, most, func(r run) int64 { return r.ID }).Draw(t, label)
		}
		deploys, smokes := some("deploys", 8), some("smokes", 8)
		got, refused := versions.choose(deploys, smokes, moment)
		again, refusedAgain := versions.choose(rapid.Permutation(deploys).Draw(t, "order"), rapid.Permutation(smokes).Draw(t, "smoke order"), moment)
		if got.tag != again.tag || got.deploy.ID != again.deploy.ID || refused != refusedAgain {
			t.Fatalf("the order of the lists counts: %q, %q", got.tag, again.tag)
		}
		if (got.tag == "") != (refused != "") {
			t.Fatalf("got %q, and refused %q", got.tag, refused)
		}
		if got.tag == "" {
			return
		}
		if !versions.tag.MatchString(got.tag) || got.tag == got.failing.Branch || got.deploy.Conclusion != "success" || got.smoke.Conclusion != "success" || got.took < versions.least {
			t.Fatalf("chose %+v", got)
		}
		for _, r := range deploys {
			if r.Branch == got.tag && r.Started.After(got.deploy.Started) && r.Conclusion != "skipped" {
				t.Fatalf("run %d of the tag is newer than %d", r.ID, got.deploy.ID)
			}
		}
	})
}

func TestBears(t *testing.T) {
	for title, want := range map[string]bool{
		"Deploy for inc-1-2": true, "inc-1-2": true, "inc-1-2: deploy": true, "Deploy inc-1-21 (inc-1-2)": true,
		"Deploy inc-1-21": false, "xinc-1-2": false, "inc-1-2-3": false, "": false, "inc-1-2.5": false,
	} {
		if r := (&run{Title: title}); r.bears("inc-1-2") != want || r.bears("") {
			t.Errorf("%q: want %v", title, want)
		}
	}
}

func FuzzSpec(f *testing.F) {
	f.Add([]byte(`{"url":"http://x","client":"","owner":"a","repository":"b","workflow":"d.yml","action_input":"s","latency":"1m","timeout":"1m"}`))
	f.Add([]byte(`{"url":"http://x","more":1}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if s, err := parseSpec(raw); err == nil && (s.URL == "" || !flowName.MatchString(s.Workflow)) {
			t.Errorf("%q was taken", raw)
		}
	})
}
