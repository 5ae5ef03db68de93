package announce

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/slack"
	"github.com/signalbox/signalbox/internal/telling"
)

// Kind is the line of the table of remediators.
func Kind() kind.Remediator {
	return kind.Remediator{
		Name: "announce", Keyword: "announce",
		Tools: map[string]kind.Tool{"slack": {
			Settings: func() kind.Settings {
				return &Slack{Text: defaultText, ResolvedText: defaultResolved}
			},
			Tells: true, About: true,
		}},
		Spec: resolve, Open: open,
	}
}

// What is told where the settings say nothing else.
const (
	defaultText     = "*{{subject}}*: {{detector}} since {{opened_at}}. Incident {{incident}}, of {{owner}}."
	defaultResolved = "Over: *{{subject}}*, {{detector}}. Incident {{incident}}."
)

// Slack is a channel of Slack in which incidents are announced.
type Slack struct {
	// The channel's name, for people.
	Channel string `yaml:"channel" json:"channel" jsonschema:"required"`
	// Its id, like C024BE91L: names change.
	ChannelID string `yaml:"channel_id" json:"channel_id" jsonschema:"required"`
	// File that holds a bot's token; read at each use.
	TokenFile string `yaml:"token_file" json:"token_file" jsonschema:"required"`
	// Where Slack's Web API is, if not https://slack.com/api. Plain http is for this machine only.
	APIURL string `yaml:"api_url,omitempty" json:"api_url,omitempty" jsonschema:"format=uri"`
	// The labels of the incident that texts may name, as {{labels.NAME}}.
	Labels []string `yaml:"labels,omitempty" json:"labels,omitempty"`
	// What is told: mrkdwn, with {{subject}}, {{detector}}, {{owner}}, {{policy}}, {{incident}}, {{opened_at}} and {{labels.NAME}}.
	Text string `yaml:"text,omitempty" json:"text"`
	// What stands in its place once the incident is over.
	ResolvedText string `yaml:"resolved_text,omitempty" json:"resolved_text"`
	// Links below the text: a dashboard, a new ticket.
	Links []Link `yaml:"links,omitempty" json:"links,omitempty"`
	// A channel of its own for each incident.
	IncidentChannel *Room `yaml:"incident_channel,omitempty" json:"incident_channel,omitempty"`
}

// Link is one link below a message.
type Link struct {
	// What it says.
	Text string `yaml:"text" json:"text" jsonschema:"required"`
	// Where it leads: an address whose path and query may name what texts may. Values are escaped.
	URL string `yaml:"url" json:"url" jsonschema:"required"`
}

// Room is the channel of an incident.
type Room struct {
	// The channel's name is this, a dash, and the incident's id.
	Prefix string `yaml:"prefix" json:"prefix" jsonschema:"required"`
	// Its topic: what texts may name.
	Topic string `yaml:"topic,omitempty" json:"topic,omitempty"`
	// Ids of users who are invited to each.
	Invite []string `yaml:"invite,omitempty" json:"invite,omitempty"`
	// Ids of users who are invited where an owner has the incident, by the owner's name.
	InviteOwner map[string][]string `yaml:"invite_owner,omitempty" json:"invite_owner,omitempty"`
}

const (
	mostText    = 2000 // characters of a text as it is set
	mostLinks   = 10
	mostTopic   = 200
	mostInvited = 100
	mostPrefix  = 40
)

var (
	channelName = regexp.MustCompile(`^[\p{Ll}\p{Lo}\p{N}_-]{1,80}$`)
	roomPrefix  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)
	userID      = regexp.MustCompile(`^[UW][A-Z0-9]{2,}$`)
)

// Validate checks the settings.
func (s *Slack) Validate(fail kind.Fail) {
	if !channelName.MatchString(s.Channel) {
		fail("channel", "must be the name of a channel, without #", s.Channel)
	}
	if !slack.ChannelID.MatchString(s.ChannelID) {
		fail("channel_id", "must be the id of a channel, like C024BE91L: names change", s.ChannelID)
	}
	if s.TokenFile == "" {
		fail("token_file", "must name the file that holds the bot's token", nil)
	}
	if s.APIURL != "" {
		if err := slack.CheckURL(s.APIURL); err != nil {
			fail("api_url", err.Error(), "(not shown: it may hold a credential)")
		}
	}
	if wrong := telling.CheckLabels(s.Labels); wrong != "" {
		fail("labels", wrong, strings.Join(s.Labels, ", "))
	}
	s.template(fail, "text", s.Text, mostText)
	s.template(fail, "resolved_text", s.ResolvedText, mostText)
	if len(s.Links) > mostLinks {
		fail("links", "must be at most "+strconv.Itoa(mostLinks), len(s.Links))
	}
	for i, l := range s.Links {
		s.link(fail, "links["+strconv.Itoa(i)+"]", l)
	}
	if s.IncidentChannel != nil {
		s.room(fail, s.IncidentChannel)
	}
}

func (s *Slack) template(fail kind.Fail, path, text string, most int) {
	if text == "" || utf8.RuneCountInString(text) > most {
		fail(path, "must have 1 to "+strconv.Itoa(most)+" characters", utf8.RuneCountInString(text))
	}
	if _, err := telling.Parse(text, s.Labels); err != nil {
		fail(path, err.Error(), text)
	}
}

func (s *Slack) link(fail kind.Fail, path string, l Link) {
	if l.Text == "" || utf8.RuneCountInString(l.Text) > mostTopic || strings.ContainsAny(l.Text, "<>|\r\n") {
		fail(path+".text", "must be one line, without <, > and |", l.Text)
	}
	if _, err := telling.ParseLink(l.URL, s.Labels, mostText); err != nil {
		fail(path+".url", err.Error(), "(not shown: it may hold a credential)")
	}
}

func (s *Slack) room(fail kind.Fail, r *Room) {
	const at = "incident_channel."
	if !roomPrefix.MatchString(r.Prefix) || len(r.Prefix) > mostPrefix {
		fail(at+"prefix", "must be of lower case letters, digits, - and _, at most "+strconv.Itoa(mostPrefix), r.Prefix)
	}
	if r.Topic != "" {
		s.template(fail, at+"topic", r.Topic, mostTopic)
	}
	check := func(path string, ids []string) {
		for _, id := range ids {
			if !userID.MatchString(id) {
				fail(path, "must list ids of users, like U024BE7LH", id)
			}
		}
		if len(ids) > mostInvited {
			fail(path, "must list at most "+strconv.Itoa(mostInvited), len(ids))
		}
	}
	check(at+"invite", r.Invite)
	for owner, ids := range r.InviteOwner {
		check(at+"invite_owner."+owner, ids)
	}
}
