package announce

import (
	"context"
	"errors"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
	"github.com/signalbox/signalbox/internal/slack"
)

const (
	// latency is how long Slack may take until a message is in its history.
	latency = 15 * time.Second
	// sendBound is the longest after its claim that a Start is believed to send.
	sendBound = time.Minute
	mostHold  = 4 * time.Second
)

// remediator announces. It keeps connections and when each channel was told
// last, and no state of actions; it is safe for concurrent use.
type remediator struct {
	now   func() time.Time
	slack *slack.Client
	hold  time.Duration // how long a message waits for its channel's pace
}

var _ signalbox.Remediator = (*remediator)(nil)

func open(env kind.Env) (signalbox.Remediator, error) {
	if env.Now == nil {
		return nil, errors.New("announce: a clock must be given")
	}
	return &remediator{now: env.Now, slack: slack.New(env.Agent), hold: mostHold}, nil
}

// noThread is Forecast.Found where the incident has no thread yet.
const noThread = "no thread"

// Preview looks at the channel, and for the incident's thread.
func (r *remediator) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	j, err := r.open(s)
	if err != nil {
		return r.refused(s, err.Error()), nil
	}
	f := signalbox.Forecast{
		At: r.now(), Class: signalbox.ClassC, Latency: signalbox.Duration(latency), Targets: []signalbox.Target{j.target()},
		Reach: "who reads #" + j.Slack.Channel, ByHand: "say in #" + j.Slack.Channel + " that it is over",
	}
	if _, err := j.write(); err != nil {
		f.Refused = err.Error()
		return f, nil
	}
	root, err := r.see(ctx, j)
	if err != nil {
		if f.Refused = j.unseen(err); f.Refused != "" {
			return f, nil
		}
		return signalbox.Forecast{}, fmt.Errorf("announcement %q: %w", s.Name, err)
	}
	f.Found = thread(root)
	if j.Ends {
		// A thread that a person deleted, or that is at its end, has nothing to add.
		f.Already = root == nil || root.Mark.Ended != ""
		return f, nil
	}
	if root == nil {
		f.Undo, err = ending(s, *j.spec)
	}
	return f, err
}

// refused is the forecast of a step that can't be read.
func (r *remediator) refused(s signalbox.Step, why string) signalbox.Forecast {
	return signalbox.Forecast{At: r.now(), Class: signalbox.ClassC, Targets: []signalbox.Target{signalbox.Target("slack tool " + s.Name)}, Refused: why}
}

func thread(root *found) string {
	if root == nil {
		return noThread
	}
	return "thread " + root.TS
}

// ending is the step that brings the thread to its end.
func ending(s signalbox.Step, sp spec) (*signalbox.Step, error) {
	sp.Ends = true
	raw, err := sp.raw()
	if err != nil {
		return nil, err
	}
	s.Spec, s.If, s.Within, s.Promise = raw, "", 0, 0
	return &s, nil
}

// see looks whether the channel takes messages of ours, and for the thread.
func (r *remediator) see(ctx context.Context, j *job) (*found, error) {
	var info struct {
		Channel conversation `json:"channel"`
	}
	if err := r.slack.Ask(ctx, j.api, "conversations.info", map[string][]string{"channel": {j.Slack.ChannelID}}, &info); err != nil {
		return nil, err
	}
	switch {
	case info.Channel.IsArchived:
		return nil, &slack.Error{Status: 200, Why: "is_archived"}
	case !info.Channel.IsMember:
		return nil, &slack.Error{Status: 200, Why: "not_in_channel"}
	}
	return r.root(ctx, j)
}

// Start says it, unless it was said.
func (r *remediator) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	j, err := r.open(a.Step)
	if err != nil {
		return signalbox.Receipt{}, err
	}
	say, err := j.write()
	if err != nil {
		return signalbox.Receipt{}, reach.Refused("announcement %q: %v", a.Step.Name, err)
	}
	root, err := r.root(ctx, j)
	if err != nil {
		return signalbox.Receipt{}, reach.Unsent(err)
	}
	if j.Ends {
		return r.end(ctx, a, j, root, say.ended)
	}
	if root != nil && root.Mark.Action == a.ID {
		return r.receipt(root.TS, "said before in #"+j.Slack.Channel), nil
	}
	if thread(root) != a.Forecast.Found {
		return signalbox.Receipt{}, reach.Refused("announcement %q: the thread is not as the preview found it: %s, now %s", a.Step.Name, a.Forecast.Found, thread(root))
	}
	if root != nil {
		return r.follow(ctx, a, j, root, say.open)
	}
	return r.begin(ctx, a, j, say)
}

// begin makes the incident's channel, where one is set, and posts the first
// message. A channel that can't be made keeps nothing from being announced.
func (r *remediator) begin(ctx context.Context, a signalbox.Action, j *job, say texts) (signalbox.Receipt, error) {
	text, missing, wrote := say.open, "", false
	if j.Slack.IncidentChannel != nil {
		id, made, err := r.room(ctx, j, say.topic, a.Gate)
		wrote = made
		if err != nil && held(err) {
			return signalbox.Receipt{}, doubted(wrote, err)
		}
		if err != nil {
			missing = "; " + err.Error()
		}
		if id != "" {
			text += "\n<#" + id + ">"
		}
	}
	ts, err := r.post(ctx, a, j, text, "")
	if err != nil {
		return signalbox.Receipt{}, doubted(wrote, err)
	}
	return r.receipt(ts, "announced in #"+j.Slack.Channel+missing), nil
}

// doubted takes the certainty out of an error where something was written
// before: Probe tells.
func doubted(wrote bool, err error) error {
	if _, ok := errors.AsType[*signalbox.Failure](err); ok && wrote {
		doubt := fmt.Errorf("the incident's channel was made, and not announced: %s", err.Error())
		if wait, ok := errors.AsType[*signalbox.RetryAfter](err); ok {
			return reach.Later(wait.After, doubt)
		}
		return doubt
	}
	return err
}

// follow replies in the thread.
func (r *remediator) follow(ctx context.Context, a signalbox.Action, j *job, root *found, text string) (signalbox.Receipt, error) {
	said, err := r.reply(ctx, j, root.TS, a.ID)
	if err != nil {
		return signalbox.Receipt{}, reach.Unsent(err)
	}
	if said != nil {
		return r.receipt(said.TS, "said before in the thread"), nil
	}
	ts, err := r.post(ctx, a, j, text, root.TS)
	if err != nil {
		return signalbox.Receipt{}, err
	}
	return r.receipt(ts, "replied in the thread in #"+j.Slack.Channel), nil
}

func (r *remediator) receipt(ts, detail string) signalbox.Receipt {
	return signalbox.Receipt{At: r.now(), Version: ts, Detail: detail}
}
