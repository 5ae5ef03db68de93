package channel

import (
	"net"
	"net/mail"
	"strconv"
	"strings"

	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/slack"
)

// Kind is the line of the table of remediators.
func Kind() kind.Remediator {
	return kind.Remediator{
		Name: "channel",
		Channel: map[string]func() kind.Settings{
			"slack": func() kind.Settings { return &Slack{} },
			"email": func() kind.Settings { return &Email{} },
		},
		Spec: spec,
		Open: open,
	}
}

// Slack is a channel of Slack: by an incoming webhook, or by a bot's token.
type Slack struct {
	// File that holds the URL of an incoming webhook, which is a secret; read at each use.
	WebhookFile string `yaml:"webhook_file" json:"webhook_file,omitempty"`
	// Environment variable that holds the URL of an incoming webhook.
	WebhookEnv string `yaml:"webhook_env" json:"webhook_env,omitempty"`
	// Or the file that holds a bot's token with the scope chat:write; read at each use.
	TokenFile string `yaml:"token_file" json:"token_file,omitempty"`
	// Environment variable that holds the bot's token.
	TokenEnv string `yaml:"token_env" json:"token_env,omitempty"`
	// With a token: the id of the channel, like C024BE91L.
	Channel string `yaml:"channel" json:"channel,omitempty"`
	// With a token: where Slack's Web API is, if not https://slack.com/api. Plain http is for this machine only.
	APIURL string `yaml:"api_url" json:"api_url,omitempty" jsonschema:"format=uri"`
}

// Validate checks the settings.
func (s *Slack) Validate(fail kind.Fail) {
	given := 0
	for _, v := range []string{s.WebhookFile, s.WebhookEnv, s.TokenFile, s.TokenEnv} {
		if v != "" {
			given++
		}
	}
	if given != 1 {
		fail("webhook_file", "exactly one of webhook_file, webhook_env, token_file and token_env must be given", nil)
	}
	checkEnv(fail, "webhook_env", s.WebhookEnv)
	checkEnv(fail, "token_env", s.TokenEnv)
	if s.TokenFile == "" && s.TokenEnv == "" {
		for key, v := range map[string]string{"channel": s.Channel, "api_url": s.APIURL} {
			if v != "" {
				fail(key, "needs token_file or token_env: a webhook has its own channel", nil)
			}
		}
		return
	}
	if !slack.ChannelID.MatchString(s.Channel) {
		fail("channel", "must be the id of a channel, like C024BE91L: names change", s.Channel)
	}
	if s.APIURL != "" {
		if err := slack.CheckURL(s.APIURL); err != nil {
			fail("api_url", err.Error(), "(not shown: it may hold a credential)")
		}
	}
}

// Email is mail, by a smarthost.
type Email struct {
	// Addresses that are told.
	To []string `yaml:"to" json:"to" jsonschema:"required,minItems=1"`
	// Address of the sender.
	From string `yaml:"from" json:"from" jsonschema:"required,format=email"`
	// The SMTP server, as host:port. STARTTLS is required, or TLS from the start on port 465, unless it is on this machine.
	Smarthost string `yaml:"smarthost" json:"smarthost" jsonschema:"required"`
	// User name, where the server wants one.
	Username string `yaml:"username" json:"username,omitempty"`
	// File that holds the password; read at each use.
	PasswordFile string `yaml:"password_file" json:"password_file,omitempty"`
	// Environment variable that holds the password.
	PasswordEnv string `yaml:"password_env" json:"password_env,omitempty"`
	// File with the certificates of the authorities that may sign the server's certificate; absent: those of the system.
	CAFile string `yaml:"ca_file" json:"ca_file,omitempty"`
}

const mostAddresses = 20

// Validate checks the settings.
func (s *Email) Validate(fail kind.Fail) {
	if len(s.To) == 0 || len(s.To) > mostAddresses {
		fail("to", "must name 1 to "+strconv.Itoa(mostAddresses)+" addresses", len(s.To))
	}
	for _, to := range s.To {
		checkAddress(fail, "to", to)
	}
	checkAddress(fail, "from", s.From)
	host, port, err := net.SplitHostPort(s.Smarthost)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 || host == "" || strings.ContainsAny(host, " /@\r\n") {
		fail("smarthost", "must be a host with its port, like smtp.example.com:587", s.Smarthost)
	}
	if s.PasswordFile != "" && s.PasswordEnv != "" {
		fail("password_file", "at most one of password_file and password_env may be given", s.PasswordFile)
	}
	if (s.Username != "") != (s.PasswordFile != "" || s.PasswordEnv != "") {
		fail("username", "must be given together with password_file or password_env", s.Username)
	}
	checkEnv(fail, "password_env", s.PasswordEnv)
}

// checkAddress takes a bare address only: what is more could add a header.
func checkAddress(fail kind.Fail, key, text string) {
	if a, err := mail.ParseAddress(text); err != nil || a.Address != text || strings.ContainsAny(text, "\r\n") {
		fail(key, "must be an e-mail address, like oncall@example.com", text)
	}
}

func checkEnv(fail kind.Fail, key, name string) {
	if strings.ContainsAny(name, "= \x00/") {
		fail(key, "must be the name of an environment variable", "(not shown: it may be the secret itself)")
	}
}
