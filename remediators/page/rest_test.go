package page

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/test/standin/pagerduty"
)

const apiKey = "y_NbAkKc66ryYTWUXYEu"

// newAPIPager is a pager whose owner has an API key; by says with what else.
func newAPIPager(t *testing.T, s Settings, more ...func(*pagerduty.Options)) *pager {
	t.Helper()
	p := newPager(t, append([]func(*pagerduty.Options){contract(t), func(o *pagerduty.Options) { o.APIKeys = []string{apiKey} }}, more...)...)
	dir := t.TempDir()
	for name, key := range map[string]string{"api": apiKey, "routing": routing} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.URL, s.APIURL, s.APIKeyFile, s.From = p.url, p.url+"/", "api", "signalbox@example.com"
	if s.Service == "" {
		s.PrimaryKeyFile = "routing"
	} else {
		s.URL = ""
	}
	s.Validate(func(path, rule string, value any) { t.Fatalf("%s: %s, got %v", path, rule, value) })
	b, err := Kind().Spec(kind.SpecInput{Name: "backend", Backend: "pagerduty", Settings: &s, ConfigDir: dir})
	if err != nil || strings.Contains(string(b), apiKey) {
		t.Fatalf("%s, %v", b, err)
	}
	p.spec = b
	return p
}

func byPolicy() Settings { return Settings{Service: "PWIXJZS", EscalationPolicy: "PT20YPA"} }

func (p *pager) page(t *testing.T, key string, event signalbox.PageEvent) {
	t.Helper()
	if err := p.Page(t.Context(), p.spec, key, event, body()); err != nil {
		t.Fatalf("%s: %v", event, err)
	}
}

// clean fails the test where the contract was broken.
func (p *pager) clean(t *testing.T) {
	t.Helper()
	if v := p.Violations(); len(v) != 0 {
		t.Errorf("broke PagerDuty's rules: %q", v)
	}
}

func TestPageByIncident(t *testing.T) {
	p := newAPIPager(t, byPolicy())
	for _, event := range []signalbox.PageEvent{"acknowledge", "resolve", "trigger", "trigger", "acknowledge", "acknowledge", "resolve", "resolve"} {
		p.page(t, "signalbox-1", event)
	}
	p.clean(t)
	all := p.Incidents()
	if len(all) != 1 {
		t.Fatalf("got %+v", all)
	}
	in := all[0]
	if in.DedupKey != "signalbox-1" || in.Status != "resolved" || in.Service != "PWIXJZS" || in.EscalationPolicy != "PT20YPA" || in.Urgency != "high" || in.Title != body().Summary {
		t.Errorf("got %+v", in)
	}
	if !strings.Contains(in.Details, "- read-endpoint is at replica-b (was replica-a); by hand: kubectl -n core patch …") {
		t.Errorf("got %s", in.Details)
	}
	var did []string
	for _, l := range in.Log {
		did = append(did, l.Kind+" "+l.By.Name)
	}
	if !slices.Equal(did, []string{"trigger signalbox@example.com", "acknowledge signalbox@example.com", "resolve signalbox@example.com"}) {
		t.Errorf("got %q", did)
	}
	p.page(t, "signalbox-1", "trigger") // after a resolve: another incident
	if len(p.Incidents()) != 2 {
		t.Error("a trigger after a resolve opens a new incident")
	}
}

// However an answer is lost, a page is one incident.
func TestPageByIncidentIsNotDoubled(t *testing.T) {
	lost := pagerduty.Fault{Reset: true, AfterEffect: true}
	for name, faults := range map[string][]pagerduty.Fault{
		"the look is lost":      {{Reset: true, Times: 2}},
		"the answer is lost":    {{Status: 0}, lost},
		"500 after the effect":  {{Status: 0}, {Status: 500, AfterEffect: true}},
		"the second look fails": {{Status: 0}, lost, {Status: 503}},
	} {
		p := newAPIPager(t, byPolicy())
		for _, f := range faults {
			if f.Status == 0 && !f.Reset { // this one passes
				p.Pass(1)
				continue
			}
			p.Fail(f)
		}
		for range 5 {
			if p.Page(t.Context(), p.spec, "k", "trigger", body()) == nil {
				break
			}
		}
		if in := p.Incidents(); len(in) != 1 || in[0].Status != "triggered" {
			t.Errorf("%s: got %+v", name, in)
		}
		p.page(t, "k", "resolve")
		if p.Incidents()[0].Status != "resolved" {
			t.Errorf("%s: not resolved", name)
		}
	}
}

// An incident that is opened between the look and the request is ours too.
func TestPageByIncidentThatAnotherOpened(t *testing.T) {
	p := newAPIPager(t, byPolicy())
	p.page(t, "k", "trigger")
	p.Fail(pagerduty.Fault{Status: 200, Body: `{"incidents":[]}`, Header: map[string]string{"Content-Type": "application/json"}})
	p.page(t, "k", "trigger")
	if c := p.Counts()["k"]; c != (pagerduty.Count{Incidents: 1, Triggers: 2}) {
		t.Errorf("got %+v", c)
	}
}

func TestIncidentOfAnotherServiceIsNotOurs(t *testing.T) {
	p := newAPIPager(t, byPolicy())
	q := newAPIPager(t, Settings{Service: "POTHER1", EscalationPolicy: "PT20YPA"})
	p.page(t, "k", "trigger")
	var a address
	if err := json.Unmarshal(q.spec, &a); err != nil {
		t.Fatal(err)
	}
	a.API.URL = p.url
	spec, _ := json.Marshal(a)
	if err := p.Page(t.Context(), spec, "k", "trigger", body()); err != nil || len(p.Incidents()) != 2 {
		t.Errorf("got %v, %d incidents", err, len(p.Incidents()))
	}
	if err := p.Page(t.Context(), spec, "k", "resolve", body()); err != nil || p.Incidents()[0].Status != "triggered" {
		t.Errorf("got %v, %+v", err, p.Incidents()[0])
	}
}

// A server that does not know the filter by key lists other incidents: they are
// neither acknowledged nor ours.
func TestIncidentOfAnotherKeyIsNotOurs(t *testing.T) {
	p := newAPIPager(t, byPolicy())
	other := `{"incidents":[{"id":"Q1","incident_key":"other","status":"acknowledged","service":{"id":"PWIXJZS","type":"service_reference"},` +
		`"acknowledgements":[{"at":"2026-03-01T10:00:00Z","acknowledger":{"id":"P1","type":"user_reference","summary":"Ann"}}]}]}`
	p.Fail(pagerduty.Fault{Status: 200, Body: other}, pagerduty.Fault{Status: 200, Body: other})
	if acks, err := p.Acks(t.Context(), p.spec, []string{"k"}); err != nil || len(acks) != 0 {
		t.Errorf("got %+v, %v", acks, err)
	}
	p.page(t, "k", "trigger")
	if len(p.Incidents()) != 1 {
		t.Error("it was not paged: another incident was taken for it")
	}
	for _, body := range []string{`{}`, `{"incidents":null}`, `[]`, `<html>`} {
		p.Fail(pagerduty.Fault{Status: 200, Body: body})
		if err := p.Page(t.Context(), p.spec, "k2", "trigger", signalbox.PageBody{}); sortOf(err) != "retry" {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

// The gate is asked last before what changes something, and not for a look.
func TestGateOfAnIncident(t *testing.T) {
	p := newAPIPager(t, byPolicy())
	a, closed, asked := p.action(), errors.New("the lease is lost"), 0
	a.Gate = func() error { asked++; return closed }
	_, err := p.Start(t.Context(), a)
	if sortOf(err) != "failure" || !errors.Is(err, closed) || asked != 1 || len(p.Incidents()) != 0 {
		t.Errorf("got %v, asked %d times, %d incidents", err, asked, len(p.Incidents()))
	}
	closed = nil
	if _, err := p.Start(t.Context(), a); err != nil || asked != 2 || len(p.Incidents()) != 1 {
		t.Errorf("got %v, asked %d times", err, asked)
	}
	if f, err := p.Preview(t.Context(), a.Step); err != nil || f.Refused != "" {
		t.Errorf("got %+v, %v", f, err)
	}
}

func TestRateOfTheAPI(t *testing.T) {
	p := newAPIPager(t, byPolicy())
	keys := make([]string, burst)
	if _, err := p.Acks(t.Context(), p.spec, keys); err != nil {
		t.Fatal(err)
	}
	err := p.Page(t.Context(), p.spec, "k", "trigger", body())
	if ra, ok := errors.AsType[*signalbox.RetryAfter](err); !ok || ra.After > time.Second || p.Requests() != burst {
		t.Errorf("got %v after %d requests", err, p.Requests())
	}
	p.clock = p.clock.Add(time.Second)
	p.page(t, "k", "trigger")
}

func TestAnswersOfTheAPI(t *testing.T) {
	said := `{"error":{"code":2001,"message":"Invalid Input Provided","errors":["bad ` + apiKey + `\n"]}}`
	for name, c := range map[string]struct {
		fault       pagerduty.Fault
		page, noted string
		text        string
	}{
		"400":      {pagerduty.Fault{Status: 400, Body: said}, "failure", "failure", "Invalid Input Provided; bad [api key]"},
		"401":      {pagerduty.Fault{Status: 401}, "retry", "retry", "status 401"},
		"402":      {pagerduty.Fault{Status: 402}, "retry", "failure", "status 402"},
		"403":      {pagerduty.Fault{Status: 403}, "retry", "failure", "status 403"},
		"404":      {pagerduty.Fault{Status: 404}, "retry", "failure", "status 404"},
		"429":      {pagerduty.Fault{Status: 429}, "after 15s", "after 15s", "status 429"},
		"429 says": {pagerduty.Fault{Status: 429, Header: map[string]string{"Retry-After": "7"}}, "after 7s", "after 7s", "status 429"},
		"500":      {pagerduty.Fault{Status: 500}, "retry", "retry", "status 500"},
		"502 HTML": {pagerduty.Fault{Status: 502, Body: "<html>" + apiKey}, "retry", "retry", "status 502"},
		"302":      {pagerduty.Fault{Status: 302, Header: map[string]string{"Location": "http://169.254.169.254/"}}, "retry", "retry", "status 302"},
		"cut off":  {pagerduty.Fault{Status: 200, Cut: true}, "retry", "retry", "broke off"},
	} {
		p := newAPIPager(t, byPolicy())
		p.Pass(1)
		p.Fail(c.fault)
		err := p.Page(t.Context(), p.spec, "k", "trigger", body())
		if name == "cut off" && err == nil { // what is not read of an accepted answer is not missed
			t.Errorf("%s: an answer that breaks off is no acceptance", name)
		}
		if sortOf(err) != c.page || !strings.Contains(fmt.Sprint(err), c.text) || strings.Contains(fmt.Sprint(err), apiKey) {
			t.Errorf("%s: page: got %s: %v", name, sortOf(err), err)
		}
		p.Mend()
		p.page(t, "k", "trigger")
		p.Pass(2)
		p.Fail(c.fault)
		err = p.Note(t.Context(), p.spec, "k", signalbox.Note{At: now, Kind: signalbox.PlainNote, Text: "x"})
		if sortOf(err) != c.noted || strings.Contains(fmt.Sprint(err), apiKey) {
			t.Errorf("%s: note: got %s: %v", name, sortOf(err), err)
		}
	}
}

func TestAcks(t *testing.T) {
	p := newAPIPager(t, Settings{})
	for _, key := range []string{"a", "b", "c", "d"} {
		p.page(t, key, "trigger")
	}
	p.page(t, "c", "acknowledge") // by us, through the integration: no person
	p.AcknowledgeAs("a", "Earline Greenholt")
	p.AcknowledgeAs("d", "Someone")
	p.UnacknowledgeAs("d", "Someone")
	acks, err := p.Acks(t.Context(), p.spec, []string{"a", "b", "c", "d", "gone"})
	want := signalbox.Control{Kind: signalbox.Acknowledge, Scope: "page/a", Who: "Earline Greenholt", Reason: "acknowledged in PagerDuty", At: now}
	if err != nil || len(acks) != 1 || acks["a"] != want {
		t.Errorf("got %+v, %v", acks, err)
	}
	p.clean(t)
	p.Fail(pagerduty.Fault{Status: 503})
	if acks, err := p.Acks(t.Context(), p.spec, []string{"a"}); len(acks) != 0 || sortOf(err) != "retry" {
		t.Errorf("got %+v, %v", acks, err)
	}
	before := p.Requests()
	keyless := specFor(t, p.url, routing) // an owner who has no API key is told nothing, and asked nothing
	if acks, err := p.Acks(t.Context(), keyless, []string{"a"}); len(acks) != 0 || err != nil {
		t.Errorf("got %+v, %v", acks, err)
	}
	if err := p.Note(t.Context(), keyless, "a", signalbox.Note{Kind: signalbox.PlainNote, Text: "x"}); err != nil || p.Requests() != before {
		t.Errorf("got %v, %d requests", err, p.Requests()-before)
	}
	if _, err := p.Acks(t.Context(), json.RawMessage("["), []string{"a"}); sortOf(err) != "failure" {
		t.Errorf("got %v", err)
	}
}

func TestNotes(t *testing.T) {
	p := newAPIPager(t, Settings{Requester: "PL1JMK5", Responders: []Responder{{User: "PJ25ZYX"}, {EscalationPolicy: "PL7A2O4"}}})
	tell := func(n signalbox.Note) error { return p.Note(t.Context(), p.spec, "k", n) }
	n := signalbox.Note{At: now, Kind: signalbox.PlainNote, Text: "held: budget is spent\n"}
	if err := tell(n); sortOf(err) != "retry" || !strings.Contains(err.Error(), "no incident of this page yet") {
		t.Errorf("got %v", err)
	}
	p.page(t, "k", "trigger")
	p.Pass(2)
	p.Fail(pagerduty.Fault{Reset: true, AfterEffect: true})
	if err := tell(n); sortOf(err) != "retry" {
		t.Errorf("got %v", err)
	}
	later := n
	later.At = now.Add(time.Minute)
	for _, note := range []signalbox.Note{n, n, later} {
		if err := tell(note); err != nil {
			t.Fatal(err)
		}
	}
	help := signalbox.Note{At: now, Kind: signalbox.Responders, Text: "please help"}
	for _, note := range []signalbox.Note{{At: now, Kind: signalbox.StatusUpdate, Text: "throttled until 11:00"}, help, help} {
		if err := tell(note); err != nil {
			t.Fatal(err)
		}
	}
	in := p.Incidents()[0]
	if len(in.Notes) != 2 || in.Notes[0].Text != "2026-03-01T10:00:00Z held: budget is spent" || in.Notes[0].By.Name != "signalbox@example.com" {
		t.Errorf("got %+v", in.Notes)
	}
	if len(in.Updates) != 1 || len(in.Requests) != 1 || !slices.Equal(in.Requests[0].Targets, []string{"PJ25ZYX", "PL7A2O4"}) || in.Requests[0].Requester != "PL1JMK5" {
		t.Errorf("got %+v, %+v", in.Updates, in.Requests)
	}
	p.clean(t)
	if err := tell(signalbox.Note{Kind: "song"}); sortOf(err) != "failure" {
		t.Errorf("got %v", err)
	}
}

func TestRespondersThatTheAccountCannotAsk(t *testing.T) {
	p := newAPIPager(t, Settings{Requester: "PL1JMK5", Responders: []Responder{{User: "PJ25ZYX"}}}, func(o *pagerduty.Options) { o.NoResponders = true })
	p.page(t, "k", "trigger")
	err := p.Note(t.Context(), p.spec, "k", signalbox.Note{At: now, Kind: signalbox.Responders, Text: "help"})
	if sortOf(err) != "failure" || !strings.Contains(err.Error(), "ability") {
		t.Errorf("got %v", err)
	}
}

func TestRungs(t *testing.T) {
	of := func(s Settings, r signalbox.Rung) string {
		b, err := Kind().Spec(kind.SpecInput{Name: "o", Settings: &s, Rung: r})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	both := Settings{PrimaryKeyEnv: "PD", BackupKeyFile: "/etc/backup"}
	if got := of(both, signalbox.BackupRung); got != `{"url":"https://events.pagerduty.com","key_file":"/etc/backup"}` {
		t.Errorf("got %s", got)
	}
	if got := of(Settings{PrimaryKeyEnv: "PD"}, signalbox.BackupRung) + of(both, signalbox.LastResortRung); got != "" {
		t.Errorf("a rung that is not there: got %s", got)
	}
	if both.Escalates() || !new(Settings{EscalationPolicy: "P1"}).Escalates() {
		t.Error("PagerDuty escalates by an escalation policy only")
	}
}
