package announce

import (
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Slack)
		want   string
	}{
		"as it is":        {func(*Slack) {}, ""},
		"a #":             {func(s *Slack) { s.Channel = "#incidents" }, "channel: must be the name"},
		"a name as id":    {func(s *Slack) { s.ChannelID = "incidents" }, "channel_id: must be the id"},
		"no token":        {func(s *Slack) { s.TokenFile = "" }, "token_file: must name"},
		"plain http":      {func(s *Slack) { s.APIURL = "http://slack.example/api" }, "api_url: must be https"},
		"labels":          {func(s *Slack) { s.Labels = []string{"a", "a"} }, "labels: must list"},
		"an unknown name": {func(s *Slack) { s.Text = "{{value}}" }, "text: names"},
		"another label":   {func(s *Slack) { s.ResolvedText = "{{labels.a}}" }, "resolved_text: names the label"},
		"no text":         {func(s *Slack) { s.Text = "" }, "text: must have 1 to 2000"},
		"a long text":     {func(s *Slack) { s.Text = strings.Repeat("ä", 2001) }, "text: must have 1 to 2000"},
		"links":           {func(s *Slack) { s.Links = make([]Link, 11) }, "links: must be at most 10"},
		"a link's host":   {func(s *Slack) { s.Links = []Link{{"x", "https://{{subject}}/"}} }, "links[0].url: must be"},
		"a host's end":    {func(s *Slack) { s.Links = []Link{{"x", "https://a.example{{subject}}"}} }, "links[0].url: must be"},
		"a link's label":  {func(s *Slack) { s.Links = []Link{{"x", "https://a.example/{{labels.x}}"}} }, "links[0].url: names the label"},
		"a link's text":   {func(s *Slack) { s.Links = []Link{{"x|y", "https://a.example/"}} }, "links[0].text: must be one line"},
		"javascript":      {func(s *Slack) { s.Links = []Link{{"x", "javascript:alert(1)"}} }, "links[0].url: must be"},
		"a prefix":        {func(s *Slack) { s.IncidentChannel = &Room{Prefix: "Inc"} }, "incident_channel.prefix: must be"},
		"a topic":         {func(s *Slack) { s.IncidentChannel = &Room{Prefix: "i", Topic: "{{x}}"} }, "incident_channel.topic: names"},
		"a user":          {func(s *Slack) { s.IncidentChannel = &Room{Prefix: "i", Invite: []string{"@lead"}} }, "incident_channel.invite: must list ids"},
		"an owner's":      {func(s *Slack) { s.IncidentChannel = &Room{Prefix: "i", InviteOwner: map[string][]string{"b": {"x"}}} }, "incident_channel.invite_owner.b: must list ids"},
	} {
		s := Kind().Tools["slack"].Settings().(*Slack)
		s.Channel, s.ChannelID, s.TokenFile = "incidents", channel, "t"
		c.change(s)
		var got []string
		s.Validate(func(path, rule string, _ any) { got = append(got, path+": "+rule) })
		text := strings.Join(got, "\n")
		if (c.want == "") != (text == "") || !strings.Contains(text, c.want) {
			t.Errorf("%s: got %q", name, text)
		}
	}
}
