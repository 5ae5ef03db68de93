package announce

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/test/standin/slack"
)

const (
	token   = "xoxb-not-a-real-token"
	channel = "C024BE91L"
)

// rig is a remediator on a stand-in, with their clock.
type rig struct {
	*remediator
	*slack.Server
	t     *testing.T
	clock time.Time
	dir   string
	url   string
	n     int
}

func newRig(t *testing.T, page int) *rig {
	t.Helper()
	r := &rig{t: t, clock: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC), dir: t.TempDir()}
	stand, err := slack.New(slack.Options{Token: token, Channels: []string{channel}, Spec: contract(t), Now: func() time.Time { return r.clock }, Page: page})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(stand)
	t.Cleanup(srv.Close)
	t.Cleanup(func() {
		if v := stand.Violations(); len(v) != 0 {
			t.Errorf("violations: %q", v)
		}
	})
	r.Server, r.url = stand, srv.URL+"/api"
	opened, err := Kind().Open(kind.Env{Now: func() time.Time { return r.clock }, Agent: "signalbox/test"})
	if err != nil {
		t.Fatal(err)
	}
	r.remediator = opened.(*remediator)
	r.hold = 0
	r.token(token)
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

func (r *rig) token(text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, "token"), []byte(text+"\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// step is a step of an incident of these settings.
func (r *rig) step(change func(*Slack)) signalbox.Step {
	r.t.Helper()
	s := Kind().Tools["slack"].Settings().(*Slack)
	s.Channel, s.ChannelID, s.TokenFile, s.APIURL, s.Labels = "incidents", channel, "token", r.url, []string{"cluster"}
	if change != nil {
		change(s)
	}
	s.Validate(func(path, rule string, value any) { r.t.Fatalf("%s: %s, got %v", path, rule, value) })
	raw, err := Kind().Spec(kind.SpecInput{Name: "announce", Settings: s, ConfigDir: r.dir})
	if err != nil {
		r.t.Fatal(err)
	}
	return signalbox.Step{Kind: "announce", Name: "announce", Spec: raw, Tool: true, About: &signalbox.About{
		Incident: "00aa11bb22cc33dd", Subject: "db/eu", Detector: "lag", Owner: "backend", Policy: "p", OpenedAt: r.clock,
		Labels: map[string]string{"cluster": "eu"},
	}}
}

// action is the next action of a step, as the engine makes it.
func (r *rig) action(s signalbox.Step, undoes signalbox.ActionID) signalbox.Action {
	r.t.Helper()
	before := r.writes()
	f, err := r.Preview(r.t.Context(), s)
	if err != nil || f.Refused != "" || f.Already || f.Class != signalbox.ClassC || len(f.Targets) == 0 {
		r.t.Fatalf("preview: got %+v, %v", f, err)
	}
	if !slices.Equal(before, r.writes()) {
		r.t.Errorf("the preview wrote: %q", r.Calls())
	}
	r.n++
	return signalbox.Action{
		ID: signalbox.ActionID("00aa11bb22cc33dd-" + string(rune('0'+r.n))), Incident: s.About.Incident, Step: s, Forecast: f, Undoes: undoes,
		Stage: signalbox.Claimed, ClaimedAt: r.clock,
	}
}

// do starts an action, which is there after it.
func (r *rig) do(a signalbox.Action) signalbox.Receipt {
	r.t.Helper()
	receipt, err := r.Start(r.t.Context(), a)
	if err != nil {
		r.t.Fatal(err)
	}
	r.probe(a, signalbox.Succeeded)
	return receipt
}

func (r *rig) probe(a signalbox.Action, want signalbox.Phase) {
	r.t.Helper()
	before := r.writes()
	p, err := r.Probe(r.t.Context(), a)
	if err != nil || p.Phase != want {
		r.t.Errorf("probe: got %+v, %v, want %s", p, err, want)
	}
	if !slices.Equal(before, r.writes()) {
		r.t.Error("the probe wrote")
	}
}

// writes are the calls that were no reads.
func (r *rig) writes() []string {
	return slices.DeleteFunc(r.Calls(), func(m string) bool {
		return strings.Contains("auth.test conversations.info conversations.history conversations.list conversations.replies", m)
	})
}

// undo is the step that brings an action's thread to its end.
func undo(t *testing.T, a signalbox.Action) signalbox.Step {
	t.Helper()
	if a.Forecast.Undo == nil {
		t.Fatal("it has no undo")
	}
	return *a.Forecast.Undo
}

func sortOf(err error) string {
	if err == nil {
		return "done"
	}
	if _, ok := errors.AsType[*signalbox.Failure](err); ok {
		return "failure"
	}
	return "doubt"
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
