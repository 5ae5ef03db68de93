package app

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/standin/pagerduty"
)

const takesWords = `
sources:
  people: {kind: pagerduty, receive: /webhooks/pagerduty, secret_file: secrets/webhook}
`

// What a person does in PagerDuty is durable before it is answered 2xx, and a
// fault of ours never costs the subscription.
func TestWordsOfPagerDutyAreRecorded(t *testing.T) {
	h := newHouse(t, alertsOnly)
	h.write("people.yaml", takesWords)
	h.write("secrets/webhook", "old-secret\nthe-secret")
	h.open()
	pd, err := pagerduty.New(pagerduty.Options{Retry: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pd.Close)
	front := httptest.NewServer(pd)
	t.Cleanup(front.Close)
	trigger := `{"routing_key":"` + strings.Repeat("a", 32) + `","event_action":"trigger","dedup_key":"signalbox-abc","payload":{"summary":"s","source":"db","severity":"critical"}}`
	req := h.request(http.MethodPost, front.URL+"/v2/enqueue", trigger)
	req.Header.Set("Content-Type", "application/json")
	if got := h.send(req); got.status != http.StatusAccepted {
		t.Fatalf("got %+v", got)
	}
	pd.Subscribe(h.webhooks+"/webhooks/pagerduty", "the-secret")
	last := func() int { // the status of the last attempt
		all := pd.Deliveries()
		if len(all) == 0 {
			return 0
		}
		return all[len(all)-1].Status
	}

	pd.AcknowledgeAs("signalbox-abc", "Ann")
	h.eventually("the word is taken", func() bool { return last() == http.StatusOK })
	h.loseStore()
	pd.AcknowledgeAs("signalbox-abc", "Ben")
	h.eventually("it can't be recorded", func() bool { return last() == http.StatusServiceUnavailable })
	h.store.Mend()
	h.eventually("it is recorded", func() bool { return last() == http.StatusOK })

	if err := os.Remove(filepath.Join(h.dir, "secrets/webhook")); err != nil {
		t.Fatal(err)
	}
	pd.ResolveAs("signalbox-abc", "Ann")
	h.eventually("the secret can't be read", func() bool { return last() == http.StatusServiceUnavailable })
	h.write("secrets/webhook", "the-secret")
	h.eventually("the secret is there", func() bool { return last() == http.StatusOK })
	if sub := pd.Subscriptions()[0]; sub.Refusals != 0 || sub.Disabled {
		t.Errorf("got %+v", sub)
	}
}
