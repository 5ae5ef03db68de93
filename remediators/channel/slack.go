package channel

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/pagetext"
)

// Slack's limit on the text of a section, in characters.
const mostSection = 3000

// defaultPause is how long to wait where Slack does not say; mostPause bounds
// what it can say.
const (
	defaultPause = 5 * time.Second
	mostPause    = 5 * time.Minute
)

// block is a section. verbatim: channel names and addresses in it are no links.
type block struct {
	Type string `json:"type"`
	Text struct {
		Type     string `json:"type"`
		Text     string `json:"text"`
		Verbatim bool   `json:"verbatim"`
	} `json:"text"`
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace

// slackText is the title, for notifications, and the sections. Whatever stands
// in the page is escaped: it can neither mention anybody nor make a link.
func slackText(m message) (title string, blocks []block) {
	title = escape(m.title())
	lines := []string{"*" + title + "*"}
	for _, l := range m.lines() {
		lines = append(lines, escape(l))
	}
	b := block{Type: "section"}
	b.Text.Type, b.Text.Verbatim = "mrkdwn", true
	b.Text.Text = pagetext.Fit(lines, mostSection)
	return title, []block{b}
}

// slack posts one message once.
func (r *Remediator) slack(ctx context.Context, s *Slack, m message) error {
	title, blocks := slackText(m)
	req, word, err := s.request(ctx, title, blocks)
	if err != nil {
		return err
	}
	if wait := r.told.spend(s.Channel+"\x00"+word, r.env.Now()); wait > 0 {
		return &signalbox.RetryAfter{After: wait, Err: errors.New("slack: held back: the channel takes about one message a second")}
	}
	req.Header.Set("User-Agent", r.env.Agent)
	resp, err := r.client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok { // its URL is a secret
			err = e.Err
		}
		return fmt.Errorf("slack: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if err != nil {
		return errors.New("slack: the answer broke off")
	}
	why := said(resp, answer, s.byToken())
	if why == "" {
		return nil
	}
	return slackError(resp, why, word)
}

func (s *Slack) byToken() bool { return s.TokenFile != "" || s.TokenEnv != "" }

// request is a message to the webhook, or a call of chat.postMessage. word is
// the secret in it.
func (s *Slack) request(ctx context.Context, title string, blocks []block) (req *http.Request, word string, err error) {
	list, err := json.Marshal(blocks)
	if err != nil {
		return nil, "", &signalbox.Failure{Reason: "slack", Err: errors.New("the message could not be written")}
	}
	if s.byToken() {
		if word, err = secret("slack token", s.TokenFile, s.TokenEnv); err != nil {
			return nil, "", err
		}
		form := url.Values{
			"channel": {s.Channel}, "text": {title}, "blocks": {string(list)}, "parse": {"none"}, "unfurl_links": {"false"}, "unfurl_media": {"false"},
		}
		address := strings.TrimRight(cmp.Or(s.APIURL, DefaultAPIURL), "/") + "/chat.postMessage"
		req, err = http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
		if err != nil {
			return nil, word, errors.New("slack: the request could not be made")
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Authorization", "Bearer "+word)
		return req, word, nil
	}
	if word, err = secret("slack webhook", s.WebhookFile, s.WebhookEnv); err != nil {
		return nil, "", err
	}
	if err := checkURL(word); err != nil {
		return nil, word, fmt.Errorf("slack webhook: the URL %w", err)
	}
	raw, err := json.Marshal(map[string]any{"text": title, "blocks": json.RawMessage(list), "unfurl_links": false, "unfurl_media": false})
	if err != nil {
		return nil, word, &signalbox.Failure{Reason: "slack", Err: errors.New("the message could not be written")}
	}
	req, err = http.NewRequestWithContext(ctx, http.MethodPost, word, bytes.NewReader(raw))
	if err != nil {
		return nil, word, errors.New("slack webhook: the request could not be made")
	}
	req.Header.Set("Content-Type", "application/json")
	return req, word, nil
}

// said is why Slack did not take the message; "": it did. chat.postMessage
// says so in an answer of 200, a webhook in plain words.
func said(resp *http.Response, answer []byte, byToken bool) string {
	var a struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	text := strings.TrimSpace(string(answer))
	parsed := json.Unmarshal(answer, &a) == nil
	switch {
	case resp.StatusCode == http.StatusOK && byToken && parsed && a.OK:
		return ""
	case resp.StatusCode == http.StatusOK && !byToken && text == "ok":
		return ""
	case parsed && a.Error != "":
		return a.Error
	case !byToken && !strings.ContainsAny(text, " <{") && text != "":
		return text
	}
	return "not the words of Slack; is something else at this address?"
}

// hopeless are the errors after which the same message would be refused again.
// Others may mend: a token is rotated, a bot is invited.
var hopeless = []string{"msg_too_long", "no_text", "invalid_blocks", "invalid_blocks_format", "invalid_payload", "invalid_arguments", "too_many_attachments"}

func slackError(resp *http.Response, why, word string) error {
	err := fmt.Errorf("slack: answered status %d: %s", resp.StatusCode, pagetext.Plain(strings.ReplaceAll(why, word, "[secret]"), 200))
	limited := resp.StatusCode == http.StatusTooManyRequests || why == "ratelimited" || why == "rate_limited"
	after, told := strconv.ParseUint(strings.TrimSpace(resp.Header.Get("Retry-After")), 10, 32)
	switch {
	case limited && told != nil:
		return &signalbox.RetryAfter{After: defaultPause, Err: err}
	case limited, resp.StatusCode >= 500 && told == nil:
		return &signalbox.RetryAfter{After: min(max(time.Duration(after)*time.Second, time.Second), mostPause), Err: err}
	case slices.Contains(hopeless, why):
		return &signalbox.Failure{Reason: "the message is refused", Err: err}
	}
	return err
}
