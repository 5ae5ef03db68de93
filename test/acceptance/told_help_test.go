package acceptance

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/test/standin/slack"
	"github.com/signalbox/signalbox/test/standin/statuspage"
)

// toldDesk is where people and the public are told: stand-ins of Slack and of
// Statuspage, which keep what they were asked and hold it to the vendors'
// contracts.
type toldDesk struct {
	t          *testing.T
	chat       *slack.Server
	public     *statuspage.Server
	chatURL    string
	publicURL  string
	components []statuspage.Component
}

const (
	toldChannel = "C024BE91L" // of the handbook
	toldPage    = "kctbh9vrtdwd"
)

func newToldDesk(t *testing.T, b *box, components ...statuspage.Component) *toldDesk {
	t.Helper()
	b.secret("slack-bot", "xoxb-a-bot-that-is-not-real")
	b.secret("statuspage", "an-api-key-of-the-status-page")
	d := &toldDesk{t: t, components: components}
	var err error
	if d.chat, err = slack.New(slack.Options{Token: "xoxb-a-bot-that-is-not-real", Channels: []string{toldChannel}, Spec: contractOf(t, "slack/slack.trim.json")}); err != nil {
		t.Fatal(err)
	}
	if d.public, err = statuspage.New(statuspage.Options{Token: "an-api-key-of-the-status-page", Spec: contractOf(t, "statuspage/statuspage.trim.json")}); err != nil {
		t.Fatal(err)
	}
	d.public.Set(statuspage.Page{ID: toldPage, Name: "Acme", Components: components})
	chat, public := httptest.NewServer(d.chat), httptest.NewServer(d.public)
	d.chatURL, d.publicURL = chat.URL+"/api", public.URL+"/v1"
	t.Cleanup(func() {
		b.kill() // who is asked must outlive who asks
		chat.Close()
		public.Close()
		for _, v := range append(d.chat.Violations(), d.public.Violations()...) {
			t.Errorf("a contract was broken: %s", v)
		}
	})
	return d
}

// tools takes the handbook's tools that tell, at the desk's addresses.
func (d *toldDesk) tools(e *handbookExcerpt, statusTool string) {
	e.take("tools", "ops-alerts", func(tool map[string]any) { handbookBlock(tool, "slack")["api_url"] = d.chatURL })
	e.take("tools", statusTool, func(tool map[string]any) { handbookBlock(tool, "statuspage")["url"] = d.publicURL })
}

// announced wants one thread about a subject, with a channel of its own, that is
// ended in place or not.
func (d *toldDesk) announced(subject string, ended bool) func() error {
	return func() error {
		all := d.chat.Messages()
		if len(all) == 0 {
			return fmt.Errorf("nothing is announced")
		}
		for i, m := range all {
			if m.Channel != toldChannel || (m.Thread == "") != (i == 0) {
				return fmt.Errorf("message %d is in channel %q, thread %q: want one thread in %s", i+1, m.Channel, m.Thread, toldChannel)
			}
		}
		if text := all[0].Text; !strings.Contains(text, "*"+subject+"*") || strings.HasPrefix(text, "Over:") != ended {
			return fmt.Errorf("the thread begins with %q, want it about %s, ended: %t", text, subject, ended)
		}
		var own []string
		for _, room := range d.chat.Rooms() {
			if strings.HasPrefix(room.Name, "inc-") && strings.HasPrefix(room.Topic, subject+",") {
				own = append(own, room.Name)
			}
		}
		if len(own) != 1 {
			return fmt.Errorf("channels of the incident: %q, want one", own)
		}
		return nil
	}
}

// toldOnce wants that at least one thread was begun, and that no message was posted
// twice: each bears the id of the action that posted it.
func toldOnce(t *testing.T, chat *slack.Server) {
	t.Helper()
	posted, threads := map[string]string{}, 0
	for _, m := range chat.Messages() {
		if m.Foreign {
			continue
		}
		if m.Thread == "" {
			threads++
		}
		key := m.Thread + " " + m.Metadata
		if other, twice := posted[key]; twice || m.Metadata == "" {
			t.Errorf("posted twice, or without the id of its action: %q and %q, metadata %s", other, m.Text, m.Metadata)
		}
		posted[key] = m.Text
	}
	if threads == 0 {
		t.Error("nothing was announced")
	}
}

// posted wants one incident on the status page, in a state, with its component
// as it then must be.
func (d *toldDesk) posted(status, component string) func() error {
	return func() error {
		page := d.public.Page()
		if len(page.Incidents) != 1 || page.Incidents[0].Status != status {
			return fmt.Errorf("incidents on the status page: %+v, want one that is %s", page.Incidents, status)
		}
		if got := page.Components[0].Status; got != component {
			return fmt.Errorf("the component is %s, want %s", got, component)
		}
		return nil
	}
}

// silent wants that nobody was told anything: no message, no channel, nothing on
// the status page.
func (d *toldDesk) silent() error {
	if n := len(d.chat.Messages()) + len(d.chat.Rooms()) - 1; n > 0 {
		return fmt.Errorf("messages and channels: %d, want none", n)
	}
	return d.private()
}

// private wants that the public was told nothing.
func (d *toldDesk) private() error {
	for _, call := range d.public.Calls() {
		if !strings.HasPrefix(call, "GET ") {
			return fmt.Errorf("the status page was asked to %s", call)
		}
	}
	return nil
}
