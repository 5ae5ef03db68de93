package statuspage

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/test/standin/statuspage"
)

const (
	token   = "not-a-real-key"
	pageID  = "kctbh9vrtdwd"
	payouts = "8kbf7d35c070"
	cards   = "9kbf7d35c071"
)

// rig is a remediator on a stand-in, with their clock.
type rig struct {
	*remediator
	*statuspage.Server
	t     *testing.T
	clock time.Time
	dir   string
	url   string
	n     int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, clock: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC), dir: t.TempDir()}
	stand, err := statuspage.New(statuspage.Options{Token: token, Spec: contract(t), Now: func() time.Time { return r.clock }})
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
	stand.Set(statuspage.Page{ID: pageID, Name: "Payments", UpdatedAt: r.clock, Components: []statuspage.Component{
		{ID: payouts, Name: "Payouts"}, {ID: cards, Name: "Cards", Status: "major_outage"}, {ID: "7kbf7d35c072", Name: "API", IsGroup: true},
	}})
	r.Server, r.url = stand, srv.URL+"/v1"
	opened, err := Kind().Open(kind.Env{Now: func() time.Time { return r.clock }, Agent: "signalbox/test"})
	if err != nil {
		t.Fatal(err)
	}
	r.remediator = opened.(*remediator)
	r.hold = 0
	r.key(token)
	return r
}

func contract(t *testing.T) string {
	dir := os.Getenv("SIGNALBOX_CONTRACTS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "contracts")
	}
	path := filepath.Join(dir, "statuspage", "statuspage.trim.json")
	if _, err := os.Stat(path); err != nil {
		t.Logf("NOT HELD to the vendor's contract, only to our own checks; say where it is in SIGNALBOX_CONTRACTS: %v", err)
		return ""
	}
	return path
}

func (r *rig) key(text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, "key"), []byte(text+"\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// settings are good ones.
func settings(url string) *Page {
	p := Kind().Tools["statuspage"].Settings().(*Page)
	p.PageID, p.TokenFile, p.URL = pageID, "key", url
	p.Components = map[string]string{"Payouts": payouts, "Cards": cards}
	p.ComponentStatus, p.Impact, p.Labels = "partial_outage", "minor", []string{"region"}
	p.Name, p.Message, p.ResolvedMessage = "Payouts are delayed", "We look into delays in {{labels.region}}.", "Payouts are on time again."
	p.Messages = Messages{Identified: "We know why.", Monitoring: "It is better."}
	return p
}

// step is a step of an incident of these settings.
func (r *rig) step(to string, change func(*Page)) signalbox.Step {
	r.t.Helper()
	r.clock = r.clock.Add(time.Minute) // the vendor's pace
	p := settings(r.url)
	if change != nil {
		change(p)
	}
	p.Validate(func(path, rule string, value any) { r.t.Fatalf("%s: %s, got %v", path, rule, value) })
	raw, err := Kind().Spec(kind.SpecInput{Name: "page", Settings: p, ConfigDir: r.dir})
	if err != nil {
		r.t.Fatal(err)
	}
	return signalbox.Step{Kind: "statuspage", Name: "page", To: to, Spec: raw, Tool: true, About: &signalbox.About{
		Incident: "00aa11bb22cc33dd", Subject: "payouts", Detector: "lag", OpenedAt: r.clock, Labels: map[string]string{"region": "EU <b>"},
	}}
}

// action is the next action of a step, as the engine makes it.
func (r *rig) action(s signalbox.Step, undoes signalbox.ActionID) signalbox.Action {
	r.t.Helper()
	r.clock = r.clock.Add(time.Minute)
	before := len(r.writes())
	f, err := r.Preview(r.t.Context(), s)
	if err != nil || f.Refused != "" || f.Already || f.Class != signalbox.ClassC || len(f.Targets) == 0 {
		r.t.Fatalf("preview: got %+v, %v", f, err)
	}
	if len(r.writes()) != before {
		r.t.Errorf("the preview wrote: %q", r.Calls())
	}
	r.n++
	return signalbox.Action{
		ID: signalbox.ActionID(fmt.Sprintf("00aa11bb22cc33dd-%d", r.n)), Incident: s.About.Incident, Step: s, Forecast: f, Undoes: undoes,
		Stage: signalbox.Claimed, ClaimedAt: r.clock,
	}
}

// do starts an action, which is there after it.
func (r *rig) do(a signalbox.Action) signalbox.Receipt {
	r.t.Helper()
	r.clock = r.clock.Add(time.Second)
	receipt, err := r.Start(r.t.Context(), a)
	if err != nil {
		r.t.Fatal(err)
	}
	r.probe(a, signalbox.Succeeded)
	return receipt
}

func (r *rig) probe(a signalbox.Action, want signalbox.Phase) {
	r.t.Helper()
	before := len(r.writes())
	p, err := r.Probe(r.t.Context(), a)
	if err != nil || p.Phase != want {
		r.t.Errorf("probe: got %+v, %v, want %s", p, err, want)
	}
	if len(r.writes()) != before {
		r.t.Error("the probe wrote")
	}
}

// writes are the calls that were no reads.
func (r *rig) writes() []string {
	return slices.DeleteFunc(r.Calls(), func(c string) bool { return strings.HasPrefix(c, "GET ") })
}

// status is what a component is at.
func (r *rig) status(id string) string {
	for _, c := range r.Page().Components {
		if c.ID == id {
			return c.Status
		}
	}
	return "gone"
}

// set puts a component where a person would.
func (r *rig) set(id, status string) {
	p := r.Page()
	for i := range p.Components {
		if p.Components[i].ID == id {
			p.Components[i].Status = status
		}
	}
	r.Set(p)
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
