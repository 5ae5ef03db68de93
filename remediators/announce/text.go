package announce

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/telling"
)

// mostSection is Slack's limit on the text of a section, in characters.
const mostSection = 3000

// Names of a message's metadata.
const eventType = "signalbox"

// mark is the payload of our metadata: by it a message is found again.
type mark struct {
	Incident signalbox.IncidentID `json:"incident"`
	Tool     string               `json:"tool"`
	Action   signalbox.ActionID   `json:"action"`
	Ended    signalbox.ActionID   `json:"ended,omitempty"` // the action that brought it to its end
}

type metadata struct {
	Type    string `json:"event_type"`
	Payload mark   `json:"event_payload"`
}

// texts are what a step says.
type texts struct{ open, ended, topic string }

// write fills the texts in. Its error says which one can't be, and why.
func (j *job) write() (texts, error) {
	var t texts
	var err error
	if t.open, err = j.text("text", j.Slack.Text, telling.Slack, mostText); err != nil {
		return t, err
	}
	if t.ended, err = j.text("resolved_text", j.Slack.ResolvedText, telling.Slack, mostText); err != nil {
		return t, err
	}
	links, err := j.links()
	if err != nil {
		return t, err
	}
	t.open, t.ended = t.open+links, t.ended+links
	if room := j.Slack.IncidentChannel; room != nil && room.Topic != "" {
		t.topic, err = j.text("incident_channel.topic", room.Topic, telling.Slack, mostTopic)
	}
	return t, err
}

func (j *job) text(what, text string, escape func(string) string, most int) (string, error) {
	tpl, err := telling.Parse(text, j.Slack.Labels)
	if err != nil {
		return "", fmt.Errorf("%s %w", what, err)
	}
	out, err := tpl.Expand(j.about, escape)
	if err != nil {
		return "", fmt.Errorf("%s can't be filled in: %w", what, err)
	}
	return telling.Cut(out, most), nil
}

// links are one line below the text, as whole links as fit.
func (j *job) links() (string, error) {
	var b strings.Builder
	for i, l := range j.Slack.Links {
		address, err := j.text(fmt.Sprintf("links[%d].url", i), l.URL, url.QueryEscape, 1<<20)
		if err != nil {
			return "", err
		}
		link := "<" + telling.Slack(address) + "|" + telling.Slack(l.Text) + ">"
		if b.Len()+len(link) > mostSection-mostText-200 {
			break
		}
		b.WriteString(map[bool]string{true: "\n", false: " · "}[b.Len() == 0] + link)
	}
	return b.String(), nil
}

// message is a message as parameters of chat.postMessage and chat.update.
// verbatim: names and addresses in it are no links.
func (j *job) message(text string, m mark) (url.Values, error) {
	type mrkdwn struct {
		Type     string `json:"type"`
		Text     string `json:"text"`
		Verbatim bool   `json:"verbatim"`
	}
	type section struct {
		Type string `json:"type"`
		Text mrkdwn `json:"text"`
	}
	blocks, err := json.Marshal([]section{{"section", mrkdwn{"mrkdwn", telling.Cut(text, mostSection), true}}})
	if err != nil {
		return nil, err
	}
	meta, err := json.Marshal(metadata{eventType, m})
	if err != nil {
		return nil, err
	}
	return url.Values{
		"channel": {j.Slack.ChannelID}, "text": {telling.Cut(text, mostSection)}, "blocks": {string(blocks)}, "metadata": {string(meta)},
		"parse": {"none"}, "unfurl_links": {"false"}, "unfurl_media": {"false"},
	}, nil
}
