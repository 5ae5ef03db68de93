package channel

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	client "github.com/signalbox/signalbox/internal/slack"
	"github.com/signalbox/signalbox/test/standin/slack"
)

const (
	token = "xoxb-not-a-real-token"
	room  = "C024BE91L"
)

// slackRig is a rig on a stand-in, by a token and by a webhook.
type slackRig struct {
	*rig
	*slack.Server
	url              string
	byToken, webhook json.RawMessage
}

func newSlack(t *testing.T) *slackRig {
	t.Helper()
	s, err := slack.New(slack.Options{Token: token, Channels: []string{room}, Spec: contract(t)})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	r := &slackRig{rig: newRig(t), Server: s, url: srv.URL}
	r.byToken = r.spec(t, &Slack{TokenFile: r.file(t, "token", token), Channel: room, APIURL: srv.URL + "/api"})
	r.webhook = r.spec(t, &Slack{WebhookFile: r.file(t, "webhook", srv.URL+slack.WebhookPath)})
	return r
}

func contract(t *testing.T) string {
	dir := os.Getenv("SIGNALBOX_CONTRACTS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "contracts")
	}
	path := filepath.Join(dir, "slack", "slack.trim.json")
	if _, err := os.Stat(path); err != nil {
		t.Logf("NOT HELD to the vendor's contract, only to our own checks; say where it is in SIGNALBOX_CONTRACTS: %v", err)
		return ""
	}
	return path
}

func TestSlack(t *testing.T) {
	r := newSlack(t)
	for name, spec := range map[string]json.RawMessage{room: r.byToken, "": r.webhook} {
		for _, event := range []signalbox.PageEvent{"trigger", "acknowledge", "resolve"} {
			if err := r.Page(t.Context(), spec, "signalbox-1", event, body()); err != nil {
				t.Fatal(err)
			}
		}
		all := r.Messages()
		all = all[len(all)-3:]
		if all[0].Channel != name || all[0].Text != "PAGE for backend: lag is 1.2s" || all[2].Text != "resolved for backend: lag is 1.2s" {
			t.Errorf("got %+v", all)
		}
		for _, want := range []string{"*PAGE for backend: lag is 1.2s*\n", "- flip to b", "- value 1.2s, above 100ms", "- dashboard https://grafana.example/d/1", "page signalbox-1"} {
			if !strings.Contains(all[0].Blocks[0], want) {
				t.Errorf("%q is not in %s", want, all[0].Blocks[0])
			}
		}
	}
	if v := r.Violations(); len(v) != 0 {
		t.Errorf("got %q", v)
	}
}

// Nothing that stands in a page mentions anybody or makes a link.
func TestSlackEscapes(t *testing.T) {
	r := newSlack(t)
	if err := r.Page(t.Context(), r.byToken, "k", "trigger", nastyBody()); err != nil {
		t.Fatal(err)
	}
	m := r.Messages()[0]
	for _, text := range append(m.Blocks, m.Text) {
		if strings.ContainsAny(text, "<>\x00\r") || regexp.MustCompile(`&(?:[^alg]|$)`).MatchString(text) {
			t.Errorf("got %q", text)
		}
	}
	long := body()
	for range 100 {
		long.Evidence = append(long.Evidence, strings.Repeat("<&>", 300))
	}
	long.Summary = strings.Repeat("<", 5000)
	if err := r.Page(t.Context(), r.webhook, "k", "trigger", long); err != nil || len(r.Violations()) != 0 {
		t.Errorf("got %v, %q", err, r.Violations())
	}
}

func TestSlackAnswers(t *testing.T) {
	refused := func(why string) slack.Fault {
		return slack.Fault{Status: 200, Body: `{"ok":false,"error":"` + why + `"}`}
	}
	seven := map[string]string{"Retry-After": "7"}
	for name, c := range map[string]struct {
		fault slack.Fault
		want  string
		text  string
	}{
		"not in channel":   {refused("not_in_channel"), "retry", "not_in_channel"},
		"invalid auth":     {refused("invalid_auth"), "retry", "invalid_auth"},
		"too long":         {refused("msg_too_long"), "failure", "msg_too_long"},
		"says the secret":  {refused("bad " + token), "retry", "bad [secret]"},
		"limited in words": {refused("ratelimited"), "after 5s", "ratelimited"},
		"429":              {slack.Fault{Status: 429, Header: seven}, "after 7s", "429"},
		"429 for ages":     {slack.Fault{Status: 429, Header: map[string]string{"Retry-After": "4000000000"}}, "after 5m0s", "429"},
		"429 says nothing": {slack.Fault{Status: 429}, "after 5s", "429"},
		"500":              {slack.Fault{Status: 500}, "retry", "500"},
		"503":              {slack.Fault{Status: 503, Header: seven}, "after 7s", "503"},
		"HTML":             {slack.Fault{Status: 200, Body: "<html>" + token}, "retry", "not the words of Slack"},
		"nothing":          {slack.Fault{Status: 200}, "retry", "not the words of Slack"},
		"302":              {slack.Fault{Status: 302, Header: map[string]string{"Location": "http://169.254.169.254/"}}, "retry", "302"},
		"reset":            {slack.Fault{Reset: true}, "retry", "EOF"},
	} {
		r := newSlack(t)
		r.Fail(c.fault)
		err := r.Page(t.Context(), r.byToken, "k", "trigger", body())
		if sortOf(err) != c.want || !strings.Contains(fmt.Sprint(err), c.text) || strings.Contains(fmt.Sprint(err), token) {
			t.Errorf("%s: got %s: %v", name, sortOf(err), err)
		}
		if r.Requests() != 1 {
			t.Errorf("%s: sent %d times: the caller retries", name, r.Requests())
		}
	}
	for word, want := range map[string]string{"invalid_payload": "failure", "no_service": "retry", "channel_is_archived": "retry", "ok": "accepted", "okay then": "retry"} {
		r := newSlack(t)
		r.Fail(slack.Fault{Status: 200, Body: word})
		err := r.Page(t.Context(), r.webhook, "k", "trigger", body())
		if sortOf(err) != want || strings.Contains(fmt.Sprint(err), slack.WebhookPath) {
			t.Errorf("webhook %s: got %v", word, err)
		}
	}
}

// The webhook's URL is a secret: no error holds it.
func TestSlackHidesTheWebhook(t *testing.T) {
	r := newSlack(t)
	for _, text := range []string{"http://127.0.0.1:1" + slack.WebhookPath, "https://u:p@hooks.slack.example/B000", "http://hooks.slack.example/B000", "not a URL B000", ""} {
		r.file(t, "webhook", text)
		err := r.Page(t.Context(), r.webhook, "k", "trigger", body())
		if sortOf(err) != "retry" || strings.Contains(err.Error(), "B000") {
			t.Errorf("%q: got %v", text, err)
		}
	}
	if r.Requests() != 0 {
		t.Error("it was sent")
	}
}

func TestSlackPace(t *testing.T) {
	r := newSlack(t)
	for i := range client.Burst {
		if err := r.Page(t.Context(), r.byToken, fmt.Sprint(i), "trigger", body()); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Page(t.Context(), r.byToken, "k", "trigger", body()); sortOf(err) != "after 1s" {
		t.Errorf("got %v", err)
	}
	if err := r.Page(t.Context(), r.webhook, "k", "trigger", body()); err != nil {
		t.Errorf("another channel: got %v", err)
	}
	r.clock = r.clock.Add(time.Second)
	if err := r.Page(t.Context(), r.byToken, "k", "trigger", body()); err != nil {
		t.Errorf("a second later: got %v", err)
	}
}
