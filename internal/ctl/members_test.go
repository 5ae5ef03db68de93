package ctl

import (
	"strings"
	"testing"

	"github.com/signalbox/signalbox/internal/store"
)

func TestStoreMembers(t *testing.T) {
	list := served(t, store.Membership{Cluster: "prod", Quorum: true, Members: []store.Member{
		{Name: "a", ID: "1a", Address: "10.0.0.1:2380", Leader: true, Self: true, Health: "ok"},
		{ID: "2b", Address: "10.0.0.2:2380", Learner: true, Health: "does not answer: " + evil},
		{Name: "c" + evil, ID: "3c", Address: "10.0.0.3:2380", Health: "ok"},
	}, Unlisted: []string{"c=https://10.0.0.3:2380" + evil}})
	out, errs, code := run(t, "--server", list.URL, "store", "members")
	if code != OK || errs != "" {
		t.Fatalf("got exit code %d, %s", code, errs)
	}
	harmless(t, out)
	for _, want := range []string{"NOT LISTED", "c=https://10.0.0.3:2380", "lack it", "restart it with the whole list", "cluster prod has a quorum", "leader", "(not started)", "learner", "does not answer", "follower", "10.0.0.3:2380"} {
		if !strings.Contains(out, want) {
			t.Errorf("the list lacks %q:\n%s", want, out)
		}
	}
	lone := served(t, store.Membership{Cluster: "prod", Members: []store.Member{{Name: "a", Health: "ok"}}})
	if out, _, _ := run(t, "--server", lone.URL, "store", "members"); !strings.Contains(out, "has NO quorum") || strings.Contains(out, "NOT LISTED") {
		t.Errorf("want a lost quorum, and no more:\n%s", out)
	}
}

func TestStoreMembersAreChanged(t *testing.T) {
	f := served(t, store.Member{Name: "c", ID: "3c", Address: "h:1", Learner: true})
	for _, args := range [][]string{{"remove", "--reason", "its disk", "c"}, {"add", "c", "https://h:1", "--reason", "its disk"}} {
		if out, errs, code := run(t, append([]string{"--server", f.URL, "store", "members"}, args...)...); code != OK || !strings.Contains(out, "c (3c)") {
			t.Errorf("%v: got %d, %s%s", args, code, out, errs)
		}
	}
	want := []string{
		`{"do":"remove","name":"c","reason":"its disk"}`,
		`{"do":"add","name":"c","address":"https://h:1","reason":"its disk"}`,
	}
	if len(f.asked) != 2 || f.asked[0].body != want[0] || f.asked[1].body != want[1] || f.asked[0].path != "/api/v1/store/members" {
		t.Errorf("asked %+v, want %q", f.asked, want)
	}
	for args, says := range map[string]string{
		"":                     `no command "store"`,
		"none":                 `no command "store none"`,
		"members promote c":    "add NAME ADDRESS or remove NAME",
		"members remove":       "one argument",
		"members add c":        "two arguments",
		"members remove c d":   "one argument",
		"members remove --x c": "x",
	} {
		if _, errs, code := run(t, append([]string{"--server", f.URL, "store"}, strings.Fields(args)...)...); code != Usage || !strings.Contains(errs, says) {
			t.Errorf("store %s: got %d %q, want %d and %q", args, code, errs, Usage, says)
		}
	}
	if len(f.asked) != 2 {
		t.Errorf("a wrong command line was sent: %+v", f.asked)
	}
}
