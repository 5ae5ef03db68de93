package announce

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
	"github.com/signalbox/signalbox/internal/slack"
)

// mostRoomName is Slack's limit on a channel's name.
const mostRoomName = 80

// roomName is the name of an incident's channel: the incident's id in it makes
// it one of its own.
func (j *job) roomName() string {
	id := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			return c
		}
		return '-'
	}, strings.ToLower(string(j.about.Incident)))
	name := j.Slack.IncidentChannel.Prefix + "-" + id
	return name[:min(len(name), mostRoomName)]
}

// topicMark ends the topic of each channel that we make: by it a channel of the
// name is known as ours.
func (j *job) topicMark() string { return "signalbox " + string(j.about.Incident) }

type conversation struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Creator    string `json:"creator"`
	IsArchived bool   `json:"is_archived"`
	IsMember   bool   `json:"is_member"`
	Topic      struct {
		Value string `json:"value"`
	} `json:"topic"`
}

// room makes the incident's channel, or finds it, and sets its topic and
// invites whom it is for. made says that something was written. It is repeated
// freely: a channel has its name once.
func (r *remediator) room(ctx context.Context, j *job, topic string, gate func() error) (id string, made bool, err error) {
	if err := reach.Pass(ctx, gate); err != nil {
		return "", false, err
	}
	var created struct {
		Channel conversation `json:"channel"`
	}
	err = r.slack.Do(ctx, j.api, "conversations.create", url.Values{"name": {j.roomName()}, "is_private": {"false"}}, &created)
	made = err == nil || !slack.Definite(err)
	if slack.Why(err) == "name_taken" {
		created.Channel, err = r.taken(ctx, j)
	}
	if err != nil {
		return "", made, fmt.Errorf("no channel of its own: %w", err)
	}
	id = created.Channel.ID
	whole := strings.TrimPrefix(topic+" · "+j.topicMark(), " · ")
	if !strings.HasSuffix(created.Channel.Topic.Value, j.topicMark()) {
		if err := reach.Pass(ctx, gate); err != nil {
			return id, made, err
		}
		made = true
		if err := r.slack.Do(ctx, j.api, "conversations.setTopic", url.Values{"channel": {id}, "topic": {whole}}, nil); err != nil {
			return id, made, fmt.Errorf("its channel has no topic: %w", err)
		}
	}
	return id, made, r.invite(ctx, j, id, gate)
}

// invite invites all at once; who is there already is no error.
func (r *remediator) invite(ctx context.Context, j *job, id string, gate func() error) error {
	room := j.Slack.IncidentChannel
	who := slices.Compact(slices.Sorted(slices.Values(slices.Concat(room.Invite, room.InviteOwner[j.about.Owner]))))
	if len(who) == 0 {
		return nil
	}
	if err := reach.Pass(ctx, gate); err != nil {
		return err
	}
	err := r.slack.Do(ctx, j.api, "conversations.invite", url.Values{"channel": {id}, "users": {strings.Join(who, ",")}}, nil)
	if err != nil && slack.Why(err) != "already_in_channel" {
		return fmt.Errorf("not all were invited to its channel: %w", err)
	}
	return nil
}

// mostLists bounds the pages in which a channel is looked for.
const mostLists = 20

// taken finds the channel whose name is taken, if it is ours: by its topic, or
// where it has none yet, by who made it.
func (r *remediator) taken(ctx context.Context, j *job) (conversation, error) {
	q := url.Values{"types": {"public_channel"}, "exclude_archived": {"true"}, "limit": {pageOf}}
	for range mostLists {
		var list struct {
			Channels []conversation `json:"channels"`
			Next     struct {
				Cursor string `json:"next_cursor"`
			} `json:"response_metadata"`
		}
		if err := r.slack.Ask(ctx, j.api, "conversations.list", q, &list); err != nil {
			return conversation{}, err
		}
		for _, c := range list.Channels {
			if c.Name == j.roomName() {
				return c, r.ours(ctx, j, c)
			}
		}
		if list.Next.Cursor == "" {
			break
		}
		q.Set("cursor", list.Next.Cursor)
	}
	return conversation{}, fmt.Errorf("#%s is taken, and was not found", j.roomName())
}

func (r *remediator) ours(ctx context.Context, j *job, c conversation) error {
	if strings.HasSuffix(c.Topic.Value, j.topicMark()) {
		return nil
	}
	var self struct {
		UserID string `json:"user_id"`
	}
	if err := r.slack.Ask(ctx, j.api, "auth.test", url.Values{}, &self); err != nil {
		return err
	}
	if c.Topic.Value == "" && self.UserID != "" && c.Creator == self.UserID {
		return nil
	}
	return fmt.Errorf("#%s is somebody else's", c.Name)
}

// held reports an error of the last check, or of the time that is up: nothing
// more may be written.
func held(err error) bool {
	_, ok := errors.AsType[*signalbox.Failure](err)
	return ok
}
