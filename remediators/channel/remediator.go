package channel

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/pagetext"
	"github.com/signalbox/signalbox/internal/slack"
)

const (
	sendTimeout = 10 * time.Second // of one message, when ctx allows more
	mostTitle   = 250              // characters
)

// Remediator tells owners by a second channel. It is safe for concurrent use,
// and keeps connections and when each channel was told last.
type Remediator struct {
	env    kind.Env
	client *slack.Client
}

var (
	_ signalbox.Remediator = (*Remediator)(nil)
	_ kind.Pager           = (*Remediator)(nil)
)

func open(env kind.Env) (signalbox.Remediator, error) {
	return &Remediator{env: env, client: slack.New(env.Agent)}, nil
}

// Page sends one message about one event of a page. It returns nil once the
// channel has taken it, a *signalbox.RetryAfter where the channel or its limit
// asks to wait, and a *signalbox.Failure where the same message would be
// refused again. After any other error it may be sent again, and may then come
// twice.
func (r *Remediator) Page(ctx context.Context, spec json.RawMessage, key string, event signalbox.PageEvent, body signalbox.PageBody) error {
	a, err := parseAddress(spec)
	if err != nil {
		return &signalbox.Failure{Reason: "channel", Err: err}
	}
	m := message{Owner: a.Owner, Key: key, Event: event, Body: body}
	if err := m.check(); err != nil {
		return &signalbox.Failure{Reason: "channel", Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if a.Slack != nil {
		return r.slack(ctx, a.Slack, m)
	}
	return r.email(ctx, a.Email, m)
}

// message is what is told.
type message struct {
	Owner, Key string
	Event      signalbox.PageEvent
	Body       signalbox.PageBody
}

// headings say what an event means to people.
var headings = map[signalbox.PageEvent]string{
	signalbox.PageTrigger: "PAGE", signalbox.PageAcknowledge: "acknowledged", signalbox.PageResolve: "resolved",
}

func (m message) check() error {
	if m.Key == "" {
		return errors.New("key: must not be empty")
	}
	if headings[m.Event] == "" {
		return fmt.Errorf("event: must be trigger, acknowledge or resolve, got %q", m.Event)
	}
	return nil
}

// title is one line.
func (m message) title() string {
	summary := cmp.Or(m.Body.Summary, "(no summary)")
	return pagetext.Plain(fmt.Sprintf("%s for %s: %s", headings[m.Event], m.Owner, summary), mostTitle)
}

// lines is what stands below the title: on a page everything, on its end
// little.
func (m message) lines() []string {
	last := "page " + pagetext.Plain(m.Key, mostTitle)
	if m.Event != signalbox.PageTrigger {
		return []string{last}
	}
	lines := append([]string{"The pager did not take this page."}, strings.Split(pagetext.Text(m.Body, mostText), "\n")...)
	return append(lines, "", last)
}

// mostText is how many characters of a page are told in a mail.
const mostText = 16 << 10

// What follows makes it a remediator, whose table it stands in: no step of a
// runbook is of this kind.
var errNoStep = errors.New("a second channel is no step of a runbook")

// Preview refuses.
func (r *Remediator) Preview(_ context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	return signalbox.Forecast{At: r.env.Now(), Class: signalbox.ClassB, Targets: []signalbox.Target{signalbox.Target("channel " + s.Name)}, Refused: errNoStep.Error()}, nil
}

// Start refuses.
func (r *Remediator) Start(context.Context, signalbox.Action) (signalbox.Receipt, error) {
	return signalbox.Receipt{}, &signalbox.Failure{Reason: "channel", Err: errNoStep}
}

// Probe knows that nothing was done.
func (r *Remediator) Probe(context.Context, signalbox.Action) (signalbox.Progress, error) {
	return signalbox.Progress{Phase: signalbox.NotStarted, Reason: errNoStep.Error()}, nil
}
