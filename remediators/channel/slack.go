package channel

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/pagetext"
	"github.com/signalbox/signalbox/internal/reach"
	"github.com/signalbox/signalbox/internal/slack"
	"github.com/signalbox/signalbox/internal/telling"
)

// Slack's limit on the text of a section, in characters.
const mostSection = 3000

// block is a section. verbatim: channel names and addresses in it are no links.
type block struct {
	Type string `json:"type"`
	Text struct {
		Type     string `json:"type"`
		Text     string `json:"text"`
		Verbatim bool   `json:"verbatim"`
	} `json:"text"`
}

// slackText is the title, for notifications, and the sections. Whatever stands
// in the page is escaped: it can neither mention anybody nor make a link.
func slackText(m message) (title string, blocks []block) {
	title = telling.Slack(m.title())
	lines := []string{"*" + title + "*"}
	for _, l := range m.lines() {
		lines = append(lines, telling.Slack(l))
	}
	b := block{Type: "section"}
	b.Text.Type, b.Text.Verbatim = "mrkdwn", true
	b.Text.Text = pagetext.Fit(lines, mostSection)
	return title, []block{b}
}

// slack posts one message once.
func (r *Remediator) slack(ctx context.Context, s *Slack, m message) error {
	title, blocks := slackText(m)
	send := func(word string) error {
		return r.client.Post(ctx, word, map[string]any{"text": title, "blocks": blocks, "unfurl_links": false, "unfurl_media": false})
	}
	what, file, env := "slack webhook", s.WebhookFile, s.WebhookEnv
	if s.byToken() {
		list, err := json.Marshal(blocks)
		if err != nil {
			return &signalbox.Failure{Reason: "slack", Err: errors.New("the message could not be written")}
		}
		send = func(word string) error {
			return r.client.Do(ctx, slack.API{URL: s.APIURL, Token: word}, "chat.postMessage", url.Values{
				"channel": {s.Channel}, "text": {title}, "blocks": {string(list)}, "parse": {"none"}, "unfurl_links": {"false"}, "unfurl_media": {"false"},
			}, nil)
		}
		what, file, env = "slack token", s.TokenFile, s.TokenEnv
	}
	word, err := reach.Secret(what, file, env)
	if err != nil {
		return err
	}
	if wait := r.client.Told.Spend(s.Channel+"\x00"+word, r.env.Now()); wait > 0 {
		return &signalbox.RetryAfter{After: wait, Err: errors.New("slack: held back: the channel takes about one message a second")}
	}
	if err = send(word); slack.Hopeless(err) {
		return &signalbox.Failure{Reason: "the message is refused", Err: err}
	}
	return err
}

func (s *Slack) byToken() bool { return s.TokenFile != "" || s.TokenEnv != "" }
