package slack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Self is the bot's own user.
const Self = "U0SIGNALBOX"

// Room is a channel.
type Room struct {
	ID, Name, Creator, Topic string
	Member, Archived         bool
	Invited                  []string
}

// methods are the methods of the Web API that are served. Each returns its
// answer, or the word with which it refuses.
var methods = map[string]func(s *Server, q url.Values) (answer map[string]any, refused string){
	"auth.test": func(*Server, url.Values) (map[string]any, string) {
		return map[string]any{"url": "https://example.slack.com/", "team": "Example", "user": "signalbox", "team_id": "T00000000", "user_id": Self}, ""
	},
	"chat.postMessage":      (*Server).post,
	"chat.update":           (*Server).update,
	"conversations.create":  (*Server).create,
	"conversations.history": (*Server).history,
	"conversations.info":    (*Server).info,
	"conversations.invite":  (*Server).invite,
	"conversations.list":    (*Server).list,
	"conversations.replies": (*Server).replies,
	"conversations.setTopic": func(s *Server, q url.Values) (map[string]any, string) {
		room := s.room(q.Get("channel"))
		if room == nil {
			return nil, "channel_not_found"
		}
		room.Topic = q.Get("topic")
		return map[string]any{"channel": room.wire()}, ""
	},
}

// reading are the methods that are asked by GET.
var reading = []string{"auth.test", "conversations.history", "conversations.info", "conversations.list", "conversations.replies"}

// called checks one call and answers it.
func (s *Server) called(method string, r *http.Request, contentType string, body []byte) []byte {
	refuse := func(why string) []byte { return fmt.Appendf(nil, `{"ok":false,"error":%q}`, why) }
	s.calls = append(s.calls, method)
	if r.Header.Get("Authorization") != "Bearer "+s.o.Token {
		return refuse("invalid_auth")
	}
	if s.contract != nil {
		if err := s.contract.request(r, body); err != nil {
			s.violations = append(s.violations, "contract: "+err.Error())
		}
	}
	query := r.URL.RawQuery
	if !slices.Contains(reading, method) {
		query = string(body)
		if r.Method != http.MethodPost || contentType != "application/x-www-form-urlencoded" {
			return refuse("invalid_form_data")
		}
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return refuse("invalid_form_data")
	}
	answer, why := methods[method](s, q)
	if why != "" {
		return refuse(why)
	}
	answer["ok"] = true
	raw, err := json.Marshal(answer)
	if err != nil {
		return refuse("fatal_error")
	}
	return raw
}

func (s *Server) clock() time.Time {
	if s.o.Now != nil {
		return s.o.Now()
	}
	return time.Now()
}

func (s *Server) room(id string) *Room {
	for i := range s.rooms {
		if s.rooms[i].ID == id {
			return &s.rooms[i]
		}
	}
	return nil
}

func (s *Server) post(q url.Values) (map[string]any, string) {
	room := s.room(q.Get("channel"))
	switch {
	case room == nil:
		return nil, "channel_not_found"
	case room.Archived:
		return nil, "is_archived"
	case !room.Member:
		return nil, "not_in_channel"
	}
	in := wire{Text: q.Get("text")}
	m := Message{Channel: room.ID, Thread: q.Get("thread_ts"), Metadata: q.Get("metadata")}
	if m.Metadata != "" && !json.Valid([]byte(m.Metadata)) {
		return nil, "invalid_metadata_format"
	}
	if json.Unmarshal([]byte(q.Get("blocks")), &in.Blocks) != nil || !s.keep(m, in) {
		return nil, "invalid_form_data"
	}
	m = s.messages[len(s.messages)-1]
	return map[string]any{"channel": room.ID, "ts": m.TS, "message": map[string]any{"type": "message", "text": m.Text, "ts": m.TS}}, ""
}

func (s *Server) update(q url.Values) (map[string]any, string) {
	for i := range s.messages {
		m := &s.messages[i]
		if m.Channel != q.Get("channel") || m.TS != q.Get("ts") {
			continue
		}
		in := wire{Text: q.Get("text")}
		switch {
		case m.Foreign:
			return nil, "cant_update_message"
		case json.Unmarshal([]byte(q.Get("blocks")), &in.Blocks) != nil || !s.fill(m, in):
			return nil, "invalid_form_data"
		}
		m.Edits++
		if given := q.Get("metadata"); given != "" {
			m.Metadata = given
		}
		return map[string]any{"channel": m.Channel, "ts": m.TS, "text": m.Text, "message": map[string]any{"text": m.Text}}, ""
	}
	return nil, "message_not_found"
}

func (s *Server) history(q url.Values) (map[string]any, string) {
	room := s.room(q.Get("channel"))
	switch {
	case room == nil:
		return nil, "channel_not_found"
	case !room.Member:
		return nil, "not_in_channel"
	}
	oldest, _ := strconv.ParseFloat(q.Get("oldest"), 64)
	var all []any
	for _, m := range slices.Backward(s.messages) {
		if at, _ := strconv.ParseFloat(m.TS, 64); m.Channel == room.ID && m.Thread == "" && at > oldest {
			all = append(all, m.wire(q))
		}
	}
	answer := s.page(all, q)
	answer["pin_count"], answer["channel_actions_ts"], answer["channel_actions_count"] = 0, []any{}, 0
	return answer, ""
}

func (s *Server) replies(q url.Values) (map[string]any, string) {
	var all []any
	for _, m := range s.messages {
		if m.Channel == q.Get("channel") && (m.TS == q.Get("ts") || m.Thread == q.Get("ts")) {
			all = append(all, m.wire(q))
		}
	}
	if all == nil {
		return nil, "thread_not_found"
	}
	return s.page(all, q), ""
}

// page is one page of a list of messages.
func (s *Server) page(all []any, q url.Values) map[string]any {
	limit, _ := strconv.Atoi(q.Get("limit"))
	if most := s.o.Page; most > 0 && (limit == 0 || limit > most) || limit == 0 {
		limit = max(most, 1)
	}
	from, _ := strconv.Atoi(q.Get("cursor"))
	from = min(from, len(all))
	to := min(from+limit, len(all))
	answer := map[string]any{"messages": append([]any{}, all[from:to]...), "has_more": to < len(all)}
	if to < len(all) {
		answer["response_metadata"] = map[string]any{"next_cursor": strconv.Itoa(to)}
	}
	return answer
}

func (m Message) wire(q url.Values) map[string]any {
	w := map[string]any{"type": "message", "text": m.Text, "ts": m.TS}
	if m.Thread != "" {
		w["thread_ts"] = m.Thread
	}
	if q.Get("include_all_metadata") == "true" && m.Metadata != "" {
		w["metadata"] = json.RawMessage(m.Metadata)
	}
	return w
}

func (s *Server) create(q url.Values) (map[string]any, string) {
	name := q.Get("name")
	if name == "" || len(name) > 80 || strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_'
	}) {
		return nil, "invalid_name"
	}
	if slices.ContainsFunc(s.rooms, func(r Room) bool { return r.Name == name }) {
		return nil, "name_taken"
	}
	s.rooms = append(s.rooms, Room{ID: fmt.Sprintf("C0ROOM%03d", len(s.rooms)), Name: name, Creator: Self, Member: true})
	return map[string]any{"channel": s.rooms[len(s.rooms)-1].wire()}, ""
}

func (s *Server) info(q url.Values) (map[string]any, string) {
	room := s.room(q.Get("channel"))
	if room == nil {
		return nil, "channel_not_found"
	}
	return map[string]any{"channel": room.wire()}, ""
}

func (s *Server) list(q url.Values) (map[string]any, string) {
	var all []any
	for _, r := range s.rooms {
		if !r.Archived || q.Get("exclude_archived") != "true" {
			all = append(all, r.wire())
		}
	}
	from, _ := strconv.Atoi(q.Get("cursor"))
	to := min(from+2, len(all)) // short pages, as the real one may give
	answer := map[string]any{"channels": append([]any{}, all[from:to]...)}
	if to < len(all) {
		answer["response_metadata"] = map[string]any{"next_cursor": strconv.Itoa(to)}
	}
	return answer, ""
}

func (s *Server) invite(q url.Values) (map[string]any, string) {
	room := s.room(q.Get("channel"))
	if room == nil {
		return nil, "channel_not_found"
	}
	for _, id := range strings.Split(q.Get("users"), ",") {
		if slices.Contains(room.Invited, id) {
			return nil, "already_in_channel"
		}
		room.Invited = append(room.Invited, id)
	}
	return map[string]any{"channel": room.wire()}, ""
}

func (r Room) wire() map[string]any {
	about := func(text string) map[string]any { return map[string]any{"value": text, "creator": "", "last_set": 0} }
	return map[string]any{
		"id": r.ID, "name": r.Name, "name_normalized": r.Name, "created": 1503435900, "creator": r.Creator, "is_archived": r.Archived, "is_member": r.Member,
		"is_channel": true, "is_general": false, "is_mpim": false, "is_group": false, "is_org_shared": false, "is_im": false, "is_shared": false,
		"is_private": false, "topic": about(r.Topic), "purpose": about(""),
	}
}

// Rooms returns the channels.
func (s *Server) Rooms() []Room {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rooms)
}

// SetRoom replaces the channel of the same id, or adds it.
func (s *Server) SetRoom(r Room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.room(r.ID); old != nil {
		*old = r
		return
	}
	s.rooms = append(s.rooms, r)
}

// Say adds somebody else's message.
func (s *Server) Say(channel, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(Message{Channel: channel, Foreign: true}, wire{Text: text})
}

// Delete takes a message away, as a person may.
func (s *Server) Delete(ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = slices.DeleteFunc(s.messages, func(m Message) bool { return m.TS == ts })
}

// Calls returns the methods that were called, in their order.
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}
