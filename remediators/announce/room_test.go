package announce

import (
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/test/standin/slack"
)

const roomName = "inc-00aa11bb22cc33dd"

func room(s *Slack) {
	s.IncidentChannel = &Room{
		Prefix: "inc", Topic: "{{subject}} of {{owner}}", Invite: []string{"U0ONE", "U0TWO"},
		InviteOwner: map[string][]string{"backend": {"U0TWO", "U0LEAD"}, "other": {"U0OTHER"}},
	}
}

func find(r *rig, name string) (found []slack.Room) {
	for _, c := range r.Rooms() {
		if c.Name == name {
			found = append(found, c)
		}
	}
	return found
}

// The incident's channel is made before it is told of, with its topic and who
// is invited, and stays at the end.
func TestIncidentChannel(t *testing.T) {
	r := newRig(t, 0)
	first := r.action(r.step(room), "")
	r.do(first)
	got := find(r, roomName)
	if len(got) != 1 || got[0].Topic != "db/eu of backend · signalbox 00aa11bb22cc33dd" || !slices.Equal(got[0].Invited, []string{"U0LEAD", "U0ONE", "U0TWO"}) {
		t.Fatalf("got %+v", got)
	}
	if m := r.Messages()[0]; !strings.HasSuffix(m.Text, "\n<#"+got[0].ID+">") {
		t.Errorf("got %q", m.Text)
	}
	r.do(r.action(undo(t, first), first.ID))
	if got := find(r, roomName); got[0].Archived {
		t.Error("it was archived")
	}
}

// Whatever was done of it before, there is one channel; and whatever is wrong
// with it, the incident is announced.
func TestIncidentChannelAgain(t *testing.T) {
	refuse := func(method, why string) slack.Fault {
		return slack.Fault{On: method, Status: 200, Body: `{"ok":false,"error":"` + why + `"}`}
	}
	const ours = "db/eu of backend · signalbox 00aa11bb22cc33dd"
	for name, c := range map[string]struct {
		before slack.Room
		fault  slack.Fault
		detail string
		topic  string
	}{
		"made, without a topic":    {before: slack.Room{Creator: slack.Self}, topic: ours},
		"made, with its topic":     {before: slack.Room{Creator: slack.Self, Topic: ours, Invited: []string{"U0LEAD"}}, topic: ours},
		"somebody else's":          {before: slack.Room{Creator: "U0SOMEBODY"}, detail: "#" + roomName + " is somebody else's"},
		"somebody else's topic":    {before: slack.Room{Creator: slack.Self, Topic: "lunch"}, detail: "is somebody else's", topic: "lunch"},
		"archived":                 {before: slack.Room{Creator: slack.Self, Topic: ours, Archived: true}, detail: "is taken, and was not found", topic: ours},
		"not allowed":              {fault: refuse("conversations.create", "restricted_action"), detail: "no channel of its own: slack: answered status 200: restricted_action"},
		"no topic":                 {fault: refuse("conversations.setTopic", "too_long"), detail: "its channel has no topic"},
		"nobody can be invited":    {fault: refuse("conversations.invite", "cant_invite"), detail: "not all were invited", topic: ours},
		"made, and the answer 500": {fault: slack.Fault{On: "conversations.create", Status: 500, AfterEffect: true}, detail: "no channel of its own"},
	} {
		r := newRig(t, 0)
		if c.before.Creator != "" {
			c.before.ID, c.before.Name, c.before.Member = "C0BEFORE1", roomName, true
			r.SetRoom(c.before)
		}
		if c.fault.On != "" {
			r.Fail(c.fault)
		}
		got := r.do(r.action(r.step(room), ""))
		rooms := find(r, roomName)
		if len(r.Messages()) != 1 || !strings.Contains(got.Detail, c.detail) || c.detail == "" && strings.Contains(got.Detail, ";") {
			t.Errorf("%s: got %+v", name, got)
		}
		if len(rooms) > 1 || len(rooms) == 1 && rooms[0].Topic != c.topic {
			t.Errorf("%s: got %+v", name, rooms)
		}
	}
}
