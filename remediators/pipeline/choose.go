package pipeline

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// choice is the previous stable tag, and what was passed over on the way.
type choice struct {
	tag, sha string
	deploy   run // its newest successful deploy
	smoke    run
	took     time.Duration // its longest time in production without a break
	failing  run           // the newest deploy: what production has, or was to have
	passed   []string      // why newer tags were not taken
}

// rule is what makes a tag stable.
type rule struct {
	tag    *regexp.Regexp // anchored
	least  time.Duration  // in production
	within time.Duration  // since the newest deploy began; 0: any time
}

func (s *Stable) rule() (rule, error) {
	re, err := regexp.Compile(`^(?:` + s.TagPattern + `)$`)
	return rule{tag: re, least: s.InProductionFor.Std(), within: s.DeployedWithin.Std()}, err
}

// choose finds the previous stable tag among the runs of the deploy and of the
// smoke tests. An empty refusal means that there is one.
func (u rule) choose(deploys, smokes []run, now time.Time) (choice, string) {
	deploys, smokes = timeline(deploys), timeline(smokes)
	if len(deploys) == 0 {
		return choice{}, "no run of the deploy workflow is listed"
	}
	c := choice{failing: deploys[0]}
	for i := range deploys {
		if !deploys[i].ended() {
			return c, fmt.Sprintf("a deploy is under way, and one at a time is done: %s", &deploys[i])
		}
	}
	if since := now.Sub(c.failing.Started); u.within > 0 && since > u.within {
		return c, fmt.Sprintf("the newest deploy began %s ago, and only one of the last %s is taken for the cause: %s", since.Round(time.Minute), u.within, &c.failing)
	}
	seen := map[string]bool{}
	for i := range deploys {
		r := &deploys[i]
		if seen[r.Branch] || r.Branch == "" || !u.tag.MatchString(r.Branch) {
			continue
		}
		seen[r.Branch] = true
		took, smoke, why := u.fit(deploys, smokes, i, now)
		if why != "" {
			c.passed = append(c.passed, plain(r.Branch)+" "+why)
			continue
		}
		c.tag, c.sha, c.deploy, c.smoke, c.took = r.Branch, r.SHA, *r, smoke, took
		return c, ""
	}
	return c, fmt.Sprintf("no previous stable tag is known among %d deploys: %s", len(deploys), or(c.why(), "none has a tag that matches"))
}

// why tells what was passed over, the newest first, cut.
func (c *choice) why() string {
	const most = 6
	if len(c.passed) > most {
		return strings.Join(c.passed[:most], "; ") + fmt.Sprintf("; and %d more", len(c.passed)-most)
	}
	return strings.Join(c.passed, "; ")
}

// fit says why the tag of deploys[i], its newest deploy, is not stable; empty:
// it is.
func (u rule) fit(deploys, smokes []run, i int, now time.Time) (time.Duration, run, string) {
	r := &deploys[i]
	if r.Branch == deploys[0].Branch || r.SHA == deploys[0].SHA {
		return 0, run{}, "is the one that was deployed last"
	}
	if r.Conclusion != "success" {
		return 0, run{}, fmt.Sprintf("ended with %s when it was deployed last (run %d)", r.state(), r.ID)
	}
	if back := takenBack(deploys, i); back != "" {
		return 0, run{}, "was followed by " + back + ", an older one: it was taken back"
	}
	var smoke *run
	for j := range smokes {
		if (smokes[j].Branch == r.Branch || smokes[j].SHA == r.SHA) && !smokes[j].Started.Before(r.Started) {
			smoke = &smokes[j]
			break
		}
	}
	switch {
	case smoke == nil:
		return 0, run{}, "has no smoke tests since it was deployed last"
	case smoke.state() != "success":
		return 0, run{}, fmt.Sprintf("had smoke tests that ended with %s (run %d)", smoke.state(), smoke.ID)
	}
	took := longest(deploys, r, now)
	if took < u.least {
		return 0, run{}, fmt.Sprintf("was in production for %s, and must have been for %s", took.Round(time.Minute), u.least)
	}
	return took, *smoke, ""
}

// longest is the longest time without a break that a version was in
// production: from the end of a successful deploy until another version's began.
func longest(deploys []run, of *run, now time.Time) time.Duration {
	var most time.Duration
	until := now
	for i := range deploys {
		r := &deploys[i]
		switch {
		case r.SHA != of.SHA:
			until = r.Started
		case r.Conclusion == "success":
			most = max(most, until.Sub(r.Updated))
		}
	}
	return most
}

// takenBack returns the older tag that was deployed next after deploys[i];
// empty: a newer one was.
func takenBack(deploys []run, i int) string {
	first := func(sha string) time.Time {
		var t time.Time
		for j := range deploys {
			if deploys[j].SHA == sha {
				t = deploys[j].Started
			}
		}
		return t
	}
	for j := i - 1; j >= 0; j-- {
		if next := &deploys[j]; next.SHA != deploys[i].SHA {
			if first(next.SHA).Before(first(deploys[i].SHA)) {
				return plain(next.Branch)
			}
			return ""
		}
	}
	return ""
}

// timeline is the repository's own runs that did something, the newest started
// first.
func timeline(runs []run) []run {
	var own []run
	for _, r := range runs {
		if r.ours() && r.Conclusion != "skipped" {
			own = append(own, r)
		}
	}
	slices.SortStableFunc(own, func(a, b run) int {
		return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(b.ID, a.ID))
	})
	return own
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
