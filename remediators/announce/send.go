package announce

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
	"github.com/signalbox/signalbox/internal/slack"
)

func (sp spec) raw() (json.RawMessage, error) { return json.Marshal(sp) }

// post posts one message, in a thread unless that is empty, and returns its
// time.
func (r *remediator) post(ctx context.Context, a signalbox.Action, j *job, text, thread string) (string, error) {
	q, err := j.message(text, mark{Incident: j.about.Incident, Tool: j.tool, Action: a.ID})
	if err != nil {
		return "", reach.Unsent(err)
	}
	if thread != "" {
		q.Set("thread_ts", thread)
	}
	return r.write(ctx, a, j, "chat.postMessage", q)
}

// write sends one message in the channel's pace, behind the last check.
func (r *remediator) write(ctx context.Context, a signalbox.Action, j *job, method string, q url.Values) (string, error) {
	if wait := r.slack.Told.Wait(ctx, j.Slack.ChannelID+"\x00"+j.api.Token, r.now, r.hold); wait > 0 {
		return "", &signalbox.Failure{Reason: "held back", Err: reach.Later(wait, fmt.Errorf("#%s takes about one message a second", j.Slack.Channel))}
	}
	if err := reach.Pass(ctx, a.Gate); err != nil {
		return "", err
	}
	var sent struct {
		TS string `json:"ts"`
	}
	err := r.slack.Do(ctx, j.api, method, q, &sent)
	switch {
	case err == nil:
		return sent.TS, nil
	case slack.Definite(err):
		if why := j.unseen(err); why != "" {
			return "", &signalbox.Failure{Reason: why, Err: err}
		}
		return "", &signalbox.Failure{Reason: "nothing was said", Err: err}
	}
	return "", err
}

// end puts the first message in place, and says in the thread that it is over.
// The first is what counts: without the second, the thread is at its end too.
func (r *remediator) end(ctx context.Context, a signalbox.Action, j *job, root *found, text string) (signalbox.Receipt, error) {
	switch {
	case root == nil:
		return signalbox.Receipt{}, reach.Refused("announcement %q: its thread is gone: a person deleted it", a.Step.Name)
	case root.Mark.Ended != "" && root.Mark.Ended != a.ID:
		return signalbox.Receipt{}, reach.Refused("announcement %q: action %s brought the thread to its end", a.Step.Name, root.Mark.Ended)
	case thread(root) != a.Forecast.Found:
		return signalbox.Receipt{}, reach.Refused("announcement %q: the thread is another one than the preview found", a.Step.Name)
	}
	if root.Mark.Ended == "" {
		ended := root.Mark
		ended.Ended = a.ID
		q, err := j.message(text, ended)
		if err != nil {
			return signalbox.Receipt{}, reach.Unsent(err)
		}
		q.Set("ts", root.TS)
		q.Del("unfurl_links")
		q.Del("unfurl_media")
		if _, err := r.write(ctx, a, j, "chat.update", q); err != nil {
			return signalbox.Receipt{}, err
		}
	}
	detail := "the thread in #" + j.Slack.Channel + " says that it is over"
	said, err := r.reply(ctx, j, root.TS, a.ID)
	if err == nil && said == nil {
		_, err = r.post(ctx, a, j, text, root.TS)
	}
	if err != nil {
		detail += "; not in a reply: " + err.Error()
	}
	return r.receipt(root.TS, detail), nil
}

// Probe looks for the action's message.
func (r *remediator) Probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	j, err := r.open(a.Step)
	if err != nil { // that says nothing of the action
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: err.Error()}, nil
	}
	root, err := r.root(ctx, j)
	if err != nil {
		return signalbox.Progress{}, fmt.Errorf("announcement %q: %w", a.Step.Name, err)
	}
	said := root
	switch {
	case root == nil, j.Ends && root.Mark.Ended != a.ID:
		said = nil
	case !j.Ends && root.Mark.Action != a.ID:
		if said, err = r.reply(ctx, j, root.TS, a.ID); err != nil {
			return signalbox.Progress{}, fmt.Errorf("announcement %q: %w", a.Step.Name, err)
		}
	}
	switch {
	case said != nil:
		return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: signalbox.Receipt{Version: said.TS, Detail: "it stands in #" + j.Slack.Channel}}, nil // without a time, so that Start's says more
	case r.now().Before(a.ClaimedAt.Add(sendBound + latency)):
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "not said yet; Slack may take " + latency.String()}, nil
	}
	return signalbox.Progress{Phase: signalbox.NotStarted, Reason: fmt.Sprintf("it is not in the channel, %s after the last moment of sending", latency)}, nil
}
