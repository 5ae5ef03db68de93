package remediators_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/test/standin/pagerduty"
	"github.com/signalbox/signalbox/test/standin/slack"
)

// page sends one page by another process.
func (b *bench) page() error {
	b.t.Helper()
	p, ok := b.process().(kind.Pager)
	if !ok {
		b.t.Fatalf("kind %s is in the table as one that reaches people, and is no pager", b.e.kind)
	}
	err := p.Page(b.t.Context(), b.resolved.Spec, "signalbox-1", signalbox.PageTrigger, signalbox.PageBody{
		Summary: "lag is 1.2s", Severity: "critical", Source: "db/eu", At: b.clock(), Evidence: []string{"value 1.2s, above 100ms"},
	})
	b.hear(nil, err)
	return err
}

// checkPage: a page is told at least once. Who says that it was told has told
// it, and who says that it never can be, has not; until then it is sent again,
// and where the pager knows its key that is one page.
func checkPage(f *fault) func(b *bench) {
	return func(b *bench) {
		if f != nil {
			b.door.meet(1, *f)
		}
		err := b.page()
		later, _ := errors.AsType[*signalbox.RetryAfter](err)
		switch told := b.effects(); {
		case f == nil && err != nil:
			b.fail("it was not told: %v", err)
		case err == nil && told != 1:
			b.fail("it is said to be told, and was told %d times", told)
		case isFailure(err) && (told != 0 || f.code == 0 || f.code >= 500):
			b.fail("it is said never to be told, and was told %d times: %v", told, err)
		case f != nil && f.code == 429 && (later == nil || later.After != retryAfter*time.Second):
			b.fail("%v does not say when to come back", err)
		}
		b.door.mend()
		b.later(time.Minute)
		if err := b.page(); err != nil {
			b.fail("sent again: %v", err)
		}
		if told := b.effects(); told == 0 || b.e.class == signalbox.ClassB && told != 1 {
			b.fail("sent again, it was told %d times", told)
		}
	}
}

// checkNoStep: who is no step of a runbook refuses to be one, and sends nothing.
func checkNoStep(b *bench) {
	if b.kind.Channel == nil {
		return
	}
	if f, err := b.preview(b.resolved); err != nil || f.Refused == "" {
		b.fail("the preview allows it: %+v, %v", f, err)
	}
	a := signalbox.Action{ID: "00aa11bb22cc33dd-1", Step: b.resolved, Stage: signalbox.Claimed, ClaimedAt: b.clock()}
	if err := b.start(b.process(), b.t.Context(), &a); !isFailure(err) || b.effects() != 0 || len(b.door.asked()) != 0 {
		b.fail("started, it is %v, after %d requests", err, len(b.door.asked()))
	}
	if p := b.probe(a); p.Phase != signalbox.NotStarted {
		b.fail("it is said to be %+v", p)
	}
}

func ownerWith(text string) string {
	return `owners: {devops: {primary: "@sre", escalation: pagerduty, ` + text + `}}`
}

func pageEntries() []entry {
	const routing, api = "0123456789abcdef0123456789ABCDEF", "y_NbAkKc66ryYTWUXYEu"
	build := func(keys string) func(b *bench) {
		return func(b *bench) {
			b.secret("secrets/routing", routing)
			b.secret("secrets/api", api)
			s, err := pagerduty.New(pagerduty.Options{
				Keys: []string{routing}, APIKeys: []string{api}, Now: b.clock,
				Spec: b.contract("pagerduty", "events-v2.json"), RESTSpec: b.contract("pagerduty", "rest.trim.json"),
			})
			b.must(err)
			b.t.Cleanup(s.Close)
			b.blocks = ownerWith("pagerduty: {" + strings.ReplaceAll(keys, "URL", b.serve(s, nil)) + "}")
			b.step = "{page: devops}"
			b.violations = s.Violations
			b.effects = func() int { return len(s.Incidents()) }
			b.record = func() (list []string) {
				for _, i := range s.Incidents() {
					list = append(list, i.ID)
				}
				return list
			}
		}
	}
	without := func() map[string]string {
		return none("PagerDuty takes the key, and is not looked at; a page is resolved, not taken back", "reads", "undo", "positions")
	}
	return []entry{
		{kind: "page", key: "pagerduty", name: "by a routing key", class: signalbox.ClassB, build: build(`primary_key_file: secrets/routing, url: "URL"`), without: without()},
		{
			kind: "page", key: "pagerduty", name: "by an escalation policy", class: signalbox.ClassB, without: without(),
			build: build(`service: PWIXJZS, escalation_policy: PT20YPA, api_key_file: secrets/api, api_url: "URL", from: signalbox@example.com`),
		},
	}
}

func channelEntries() []entry {
	const token, room = "xoxb-hunter2-not-a-real-token", "C024BE91L"
	onSlack := func(keys string) func(b *bench) {
		return func(b *bench) {
			s, err := slack.New(slack.Options{Token: token, Channels: []string{room}, Spec: b.contract("slack", "slack.trim.json"), Now: b.clock})
			b.must(err)
			url := b.serve(s, nil)
			b.secret("secrets/slack", token)
			b.secret("secrets/hook", url+slack.WebhookPath)
			b.secrets = append(b.secrets, slack.WebhookPath)
			b.second(strings.ReplaceAll(keys, "URL", url))
			b.violations = s.Violations
			b.effects = func() int { return len(s.Messages()) }
		}
	}
	step := none("a second channel is no step of a runbook", "well", "twice", "preview", "gate", "undo", "positions", "reads", "faults", "late", "onwards")
	return []entry{
		{kind: "channel", key: "slack", name: "by a token", class: signalbox.ClassD, build: onSlack(`slack: {token_file: secrets/slack, channel: ` + room + `, api_url: "URL/api"}`), without: step},
		{kind: "channel", key: "slack", name: "by a webhook", class: signalbox.ClassD, build: onSlack(`slack: {webhook_file: secrets/hook}`), without: step},
		{kind: "channel", key: "email", class: signalbox.ClassD, build: onMail, without: step},
	}
}

// second gives the owner its second channel.
func (b *bench) second(keys string) {
	b.blocks = ownerWith("pagerduty: {primary_key_file: secrets/pagerduty}, " + keys)
	b.step = "{page: devops}"
}

// mailbox is a real SMTP server that keeps what it takes.
type mailbox struct {
	mu    sync.Mutex
	taken int
}

type visit struct {
	*mailbox
	known bool
}

const mailPassword = "hunter2 correct horse"

func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &visit{mailbox: m}, nil }
func (v *visit) AuthMechanisms() []string                      { return []string{sasl.Plain} }
func (v *visit) Reset()                                        {}
func (v *visit) Logout() error                                 { return nil }
func (v *visit) Mail(string, *smtp.MailOptions) error          { return nil }
func (v *visit) Rcpt(string, *smtp.RcptOptions) error          { return nil }

func (v *visit) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, given string) error {
		if v.known = username == "signalbox" && given == mailPassword; !v.known {
			return errors.New("no such login: " + given)
		}
		return nil
	}), nil
}

func (v *visit) Data(r io.Reader) error {
	if _, err := io.ReadAll(r); err != nil || !v.known {
		return fmt.Errorf("not taken, %t: %w", v.known, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.taken++
	return nil
}

func onMail(b *bench) {
	m := &mailbox{}
	s := smtp.NewServer(m)
	s.Domain, s.AllowInsecureAuth, s.ReadTimeout = "localhost", true, time.Minute
	l, err := (&net.ListenConfig{}).Listen(b.t.Context(), "tcp", "127.0.0.1:0")
	b.must(err)
	go func() { _ = s.Serve(l) }()
	b.t.Cleanup(func() { _ = s.Close() })
	b.secret("secrets/mail", mailPassword)
	d := b.wire(l.Addr().String(), "\r\n.\r\n")
	b.second(fmt.Sprintf("email: {to: [a@x.example], from: signalbox@x.example, smarthost: %q, username: signalbox, password_file: secrets/mail}", d.address))
	b.effects = func() int {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.taken
	}
}
