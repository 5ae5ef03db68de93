package announce

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/slack"
)

// Bounds of a look into a channel: messages of a page, and pages. A channel in
// which more is said since the incident was opened is told as one that can't be
// read back.
const (
	pageOf    = "200"
	mostPages = 20
)

// skew is how far Slack's clock may be from ours.
const skew = 5 * time.Minute

var errTooMuch = errors.New("too much was said in the channel since: our message was not found among the newest 4000")

// found is a message of ours.
type found struct {
	TS   string
	Mark mark
}

type page struct {
	Messages []struct {
		TS       string `json:"ts"`
		Metadata struct {
			Type    string `json:"event_type"`
			Payload mark   `json:"event_payload"`
		} `json:"metadata"`
	} `json:"messages"`
	HasMore bool `json:"has_more"`
	Next    struct {
		Cursor string `json:"next_cursor"`
	} `json:"response_metadata"`
}

// look goes through the messages that a method lists, until want takes one;
// nil: there is none.
func (r *remediator) look(ctx context.Context, j *job, method string, q url.Values, want func(m mark) bool) (*found, error) {
	q.Set("channel", j.Slack.ChannelID)
	q.Set("include_all_metadata", "true")
	q.Set("limit", pageOf)
	for range mostPages {
		var p page
		if err := r.slack.Ask(ctx, j.api, method, q, &p); err != nil {
			return nil, err
		}
		for _, m := range p.Messages {
			if m.Metadata.Type == eventType && m.TS != "" && want(m.Metadata.Payload) {
				return &found{m.TS, m.Metadata.Payload}, nil
			}
		}
		if !p.HasMore || p.Next.Cursor == "" {
			return nil, nil
		}
		q.Set("cursor", p.Next.Cursor)
	}
	return nil, errTooMuch
}

// root is the first message of the incident's thread; nil: there is none.
func (r *remediator) root(ctx context.Context, j *job) (*found, error) {
	q := url.Values{"oldest": {seconds(j.about.OpenedAt.Add(-skew))}}
	return r.look(ctx, j, "conversations.history", q, func(m mark) bool { return m.Incident == j.about.Incident && m.Tool == j.tool })
}

// reply is the message of an action in a thread; nil: there is none.
func (r *remediator) reply(ctx context.Context, j *job, thread string, id signalbox.ActionID) (*found, error) {
	q := url.Values{"ts": {thread}}
	f, err := r.look(ctx, j, "conversations.replies", q, func(m mark) bool { return m.Action == id && m.Ended == "" })
	if slack.Why(err) == "thread_not_found" {
		return nil, nil
	}
	return f, err
}

func seconds(t time.Time) string { return strconv.FormatInt(max(t.Unix(), 0), 10) }

// unseen says why the channel can't be used as things stand; "": it is not
// known to be so. The words are Slack's.
func (j *job) unseen(err error) string {
	channel := "#" + j.Slack.Channel + " (" + j.Slack.ChannelID + ")"
	switch why := slack.Why(err); why {
	case "":
		return ""
	case "channel_not_found":
		return channel + " is not there, or is private and the bot is not in it: invite the bot, or change channel_id"
	case "not_in_channel":
		return "the bot is not in " + channel + ": invite it"
	case "is_archived":
		return channel + " is archived: change channel_id"
	case "missing_scope", "no_permission", "not_allowed_token_type":
		return "the bot's token lacks a scope: give it those of the documentation, and install the app again"
	case "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired":
		return fmt.Sprintf("the bot's token is refused (%s): write a good one into token_file", why)
	}
	return ""
}
