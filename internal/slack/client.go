// Package slack is the one client of Slack: its Web API by a bot's token, and
// incoming webhooks.
//
// The Web API answers 200 and says in its body what it refuses. Neither knows
// an idempotency key. No error holds a token or a webhook's URL, which is a
// secret too, and no redirect is followed with one.
package slack

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
	"regexp"
	"strings"

	"github.com/signalbox/signalbox/internal/pace"
	"github.com/signalbox/signalbox/internal/reach"
)

// DefaultAPIURL is where Slack's Web API is.
const DefaultAPIURL = "https://slack.com/api"

// Slack takes about one message a second in a channel, and short bursts.
const (
	PerSecond = 1
	Burst     = 5
)

// mostAnswer bounds an answer, in bytes: a page of 200 messages.
const mostAnswer = 4 << 20

// ChannelID is what the id of a channel looks like: names change.
var ChannelID = regexp.MustCompile(`^[CGD][A-Z0-9]{8,}$`)

// Client speaks to Slack. It is safe for concurrent use, and keeps connections
// and when each channel was told last.
type Client struct {
	Told *pace.Pace // messages, by place

	agent string
	http  *http.Client
}

// New makes a client. agent is the User-Agent.
func New(agent string) *Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = 64 << 10
	return &Client{Told: pace.New(PerSecond, Burst), agent: cmp.Or(agent, "signalbox"), http: &http.Client{
		Transport: transport,
		// The request holds a secret: it is sent where it was meant to go.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// API is where the Web API is, and the bot's token.
type API struct {
	URL   string // "": DefaultAPIURL
	Token string
}

// Ask calls a method that only reads, and decodes its answer into into.
func (c *Client) Ask(ctx context.Context, api API, method string, params url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, api.method(method)+"?"+params.Encode(), http.NoBody)
	return c.call(req, err, api, into)
}

// Do calls a method that writes, once, and decodes its answer into into, unless
// that is nil.
func (c *Client) Do(ctx context.Context, api API, method string, params url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, api.method(method), strings.NewReader(params.Encode()))
	if err == nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return c.call(req, err, api, into)
}

func (a API) method(name string) string {
	return strings.TrimRight(cmp.Or(a.URL, DefaultAPIURL), "/") + "/" + name
}

func (c *Client) call(req *http.Request, err error, api API, into any) error {
	if err != nil {
		return errors.New("slack: the request could not be made")
	}
	req.Header.Set("Authorization", "Bearer "+api.Token)
	resp, answer, err := c.send(req)
	if err != nil {
		return err
	}
	var a struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	switch parsed := json.Unmarshal(answer, &a) == nil; {
	case !parsed || !a.OK && a.Error == "":
		return refusal(resp, foreign, api.Token)
	case !a.OK || resp.StatusCode != http.StatusOK:
		return refusal(resp, cmp.Or(a.Error, foreign), api.Token)
	case into != nil && json.Unmarshal(answer, into) != nil:
		return errors.New("slack: the answer is not what the method is described to answer")
	}
	return nil
}

// Post sends a payload to an incoming webhook, once.
func (c *Client) Post(ctx context.Context, webhook string, payload any) error {
	if err := CheckURL(webhook); err != nil {
		return fmt.Errorf("slack webhook: the URL %w", err)
	}
	raw, err := json.Marshal(payload)
	if err != nil {
		return errors.New("slack webhook: the message could not be written")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, webhook, bytes.NewReader(raw))
	if err != nil {
		return errors.New("slack webhook: the request could not be made")
	}
	req.Header.Set("Content-Type", "application/json")
	resp, answer, err := c.send(req)
	if err != nil {
		return err
	}
	switch text := strings.TrimSpace(string(answer)); { // it answers in plain words
	case resp.StatusCode == http.StatusOK && text == "ok":
		return nil
	case text != "" && !strings.ContainsAny(text, " <{"):
		return refusal(resp, text, webhook)
	}
	return refusal(resp, foreign, webhook)
}

func (c *Client) send(req *http.Request) (*http.Response, []byte, error) {
	req.Header.Set("User-Agent", c.agent)
	resp, err := c.http.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok { // its URL may be a secret
			err = e.Err
		}
		return nil, nil, fmt.Errorf("slack: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if err != nil {
		return nil, nil, errors.New("slack: the answer broke off")
	}
	return resp, answer, nil
}

// CheckURL refuses what would carry a secret over a network in the clear, or to
// a place that is not plainly named. It never repeats the address.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("must be an https URL with a host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must not have a credential, a query or a fragment")
	case u.Scheme == "http" && !reach.Loopback(u.Hostname()):
		return errors.New("must be https: plain http would show the secret, and is accepted for this machine only")
	}
	return nil
}
