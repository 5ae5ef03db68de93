package sandbox

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PagerDuty/go-pagerduty"
)

func testPager(t *testing.T) (p *pager, url string, told *[]string) {
	t.Helper()
	told = new([]string)
	p = &pager{owners: routingKeys(), now: func() time.Time { return noon }, tell: func(text string) { *told = append(*told, text) }}
	mux := http.NewServeMux()
	p.routes(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return p, server.URL, told
}

func TestPagesThroughThePagerDutyClient(t *testing.T) {
	p, url, told := testPager(t)
	client := pagerduty.NewClient("", pagerduty.WithV2EventsAPIEndpoint(url))
	send := func(owner, action, key, summary string) {
		t.Helper()
		e := &pagerduty.V2Event{RoutingKey: routingKey(owner), Action: action, DedupKey: key}
		if summary != "" {
			e.Payload = &pagerduty.V2Payload{Summary: summary, Source: "db/eu", Severity: "critical"}
		}
		answer, err := client.ManageEventWithContext(t.Context(), e)
		if err != nil || answer.Status != "success" || answer.DedupKey != key {
			t.Fatalf("%s %s: %+v, %v", action, key, answer, err)
		}
	}
	send("backend", "resolve", "k", "") // no page is open: dropped
	send("backend", "trigger", "k", "lag of 3s")
	send("backend", "trigger", "k", "lag of 3s")
	send("backend", "trigger", "k", "lag of 5s")
	send("devops", "trigger", "k", "another service's k")
	send("backend", "acknowledge", "k", "")
	send("backend", "resolve", "k", "")
	send("backend", "resolve", "k", "")
	send("backend", "trigger", "k", "lag of 2s")
	want := []string{
		"PAGE for backend: lag of 3s", "page for backend says now: lag of 5s", "PAGE for devops: another service's k",
		"acknowledged for backend: lag of 5s", "resolved for backend: lag of 5s", "PAGE for backend: lag of 2s",
	}
	if !slices.Equal(*told, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(*told, "\n"), strings.Join(want, "\n"))
	}
	var got []string
	for _, g := range p.pages() {
		got = append(got, fmt.Sprint(g.Owner, " ", g.Status, " ", g.Times, " ", g.EndedAt.Equal(noon)))
	}
	if want := []string{"backend resolved 3 true", "devops triggered 1 false", "backend triggered 1 false"}; !slices.Equal(got, want) {
		t.Errorf("pages %q, want %q", got, want)
	}
}

func TestPagerRefuses(t *testing.T) {
	_, url, told := testPager(t)
	key := `"routing_key":"` + routingKey("devops") + `"`
	payload := `"payload":{"summary":"s","source":"x","severity":"error"}`
	for body, want := range map[string]string{
		`{`: "JSON object",
		`{"event_action":"trigger",` + payload + `}`:                                                                                       "routing_key",
		`{"routing_key":"00000000000000000000000000000000","event_action":"trigger",` + payload + `}`:                                      "not one of this company",
		`{` + key + `,"event_action":"page",` + payload + `}`:                                                                              "event_action",
		`{` + key + `,"event_action":"resolve"}`:                                                                                           "dedup_key",
		`{` + key + `,"event_action":"trigger"}`:                                                                                           "payload",
		`{` + key + `,"event_action":"trigger","payload":{"summary":"s","source":"x","severity":"page"}}`:                                  "severity",
		`{` + key + `,"event_action":"trigger","dedup_key":"` + strings.Repeat("k", 256) + `",` + payload + `}`:                            "at most 255",
		`{` + key + `,"event_action":"trigger","payload":{"source":"x","severity":"error","summary":"` + strings.Repeat("s", 1025) + `"}}`: "at most 1024",
	} {
		resp, answer := do(t, http.MethodPost, url+"/v2/enqueue", body)
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(answer, want) || !strings.Contains(answer, `"status":"invalid event"`) {
			t.Errorf("%.80s: %d %s, want %q", body, resp.StatusCode, answer, want)
		}
	}
	if resp, _ := do(t, http.MethodPost, url+"/v2/enqueue", strings.Repeat(" ", maxEvent+1)); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("an event that is too large: %d", resp.StatusCode)
	}
	if len(*told) > 0 {
		t.Errorf("told %q", *told)
	}
}

func TestPagerIsBounded(t *testing.T) {
	p, url, _ := testPager(t)
	trigger := func(i int) int {
		resp, _ := do(t, http.MethodPost, url+"/v2/enqueue", fmt.Sprintf(
			`{"routing_key":%q,"event_action":"trigger","dedup_key":"%d","payload":{"summary":"s","source":"x","severity":"info"}}`, routingKey("devops"), i))
		return resp.StatusCode
	}
	for i := range maxOpen {
		if code := trigger(i); code != http.StatusAccepted {
			t.Fatalf("page %d: %d", i, code)
		}
	}
	if code := trigger(maxOpen); code != http.StatusTooManyRequests {
		t.Errorf("one page too many: %d", code)
	}
	if code := trigger(0); code != http.StatusAccepted {
		t.Errorf("more about an open page: %d", code)
	}
	for i := range maxOpen {
		do(t, http.MethodPost, url+"/v2/enqueue", fmt.Sprintf(`{"routing_key":%q,"event_action":"resolve","dedup_key":"%d"}`, routingKey("devops"), i))
	}
	if n := len(p.pages()); n != maxEnded {
		t.Errorf("%d pages are kept after all are resolved, want %d", n, maxEnded)
	}
}

func FuzzDecodeEvent(f *testing.F) {
	f.Add([]byte(`{"routing_key":"k","event_action":"trigger","dedup_key":"d","payload":{"summary":"s","source":"x","severity":"error","custom_details":{"a":[1]}}}`))
	f.Add([]byte(`{"routing_key":"k","event_action":"resolve","dedup_key":"d"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := decodeEvent(body)
		if err != nil {
			return
		}
		if e.RoutingKey == "" || e.DedupKey == "" || e.Action == "trigger" && e.Payload == nil {
			t.Fatalf("%s was let in as %+v", body, e)
		}
		p := &pager{now: func() time.Time { return noon }, tell: func(string) {}}
		if !p.take("devops", e) || len(p.open) != map[string]int{"trigger": 1}[e.Action] {
			t.Fatalf("%s opened %d pages", body, len(p.open))
		}
	})
}
