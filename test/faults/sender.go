package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
)

// alert is one episode, as its sender knows it.
type alert struct {
	Name     string
	Target   string
	Starts   time.Time
	Taken    time.Time // when it was answered 2xx; zero: it was not
	Ends     time.Time // it is to end then; zero: it fires
	EndTaken time.Time // when its end was answered 2xx
	sent     time.Time // when it was posted last
}

// sender plays Alertmanager: it posts each alert until it is answered 2xx. After
// that it repeats only what the daemon says it has open, which a restart must
// hear again to act on: nothing that was lost comes a second time. An alert ends once the daemon waits to see what its action did.
type sender struct {
	c    *cell
	quit chan struct{}
	done chan struct{}

	mu     sync.Mutex
	alerts []*alert
	next   time.Time       // the daemon is not asked before: to answer is work for it
	looked time.Time       // when it was asked last
	open   map[string]bool // alerts whose incident the daemon has open; nil: it was not asked yet
	held   bool            // alerts go on firing

	back  time.Time    // when the store went back in time
	leads int          // the replica that is asked first
	door  atomic.Int64 // … and posted to
}

func newSender(c *cell) *sender {
	s := &sender{c: c, quit: make(chan struct{}), done: make(chan struct{})}
	go s.run()
	return s
}

func (s *sender) stop() {
	select {
	case <-s.quit:
	default:
		close(s.quit)
	}
	<-s.done
}

func (s *sender) run() {
	defer close(s.done)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-s.quit:
			return
		case <-tick.C:
			s.look()
			s.post(s.due())
		}
	}
}

// fire begins an episode at a target, and returns its alert.
func (s *sender) fire(target string) *alert {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &alert{Name: fmt.Sprintf("%s-%d", target, len(s.alerts)), Target: target, Starts: time.Now()}
	s.alerts = append(s.alerts, a)
	return a
}

// free returns a target of a class at which nothing is under way.
func (s *sender) free(class string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	busy := map[string]bool{}
	for _, a := range s.alerts {
		if !s.over(a) {
			busy[a.Target] = true
		}
	}
	for i := range counts[class] {
		if name := fmt.Sprintf("%s%d", class, i); !busy[name] {
			return name, true
		}
	}
	return "", false
}

// unused returns a target of a class that no alert ever named.
func (s *sender) unused(class string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range counts[class] {
		name := fmt.Sprintf("%s%d", class, i)
		if !slices.ContainsFunc(s.alerts, func(a *alert) bool { return a.Target == name }) {
			return name, true
		}
	}
	return "", false
}

// over reports whether an alert has ended and its incident with it: the daemon
// was asked long enough after the end for it to have been taken in.
func (s *sender) over(a *alert) bool {
	return !a.EndTaken.IsZero() && s.looked.Sub(a.EndTaken) > 500*time.Millisecond && !s.open[a.Name]
}

// look asks the daemon what is open, and ends the alerts whose effect is
// awaited.
func (s *sender) look() {
	begun := time.Now()
	if begun.Before(s.next) {
		return
	}
	st, err := s.c.statusOf(&s.leads)
	s.next = time.Now().Add(5 * time.Since(begun))
	if err != nil || !st.Leading {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open, s.looked = map[string]bool{}, begun
	waits := map[string]bool{}
	for _, inc := range st.Incidents {
		name := inc.Reading.Labels["episode"]
		s.open[name] = true
		// One that is paged gets well by itself after a while, if nothing is done.
		// What ended before an effect is no evidence of it: not while it is awaited.
		paged := inc.Page != "" && !inFlight(&inc) && (strings.HasPrefix(name, classP) || time.Since(inc.OpenedAt) > 15*time.Second)
		waits[name] = inc.Verdict == "verify" || paged
	}
	for _, a := range s.alerts {
		if s.open[a.Name] && !a.EndTaken.IsZero() && a.EndTaken.Before(s.back) { // the store has forgotten that it ended
			a.EndTaken = time.Time{}
		}
		if a.Ends.IsZero() && waits[a.Name] && !s.held {
			a.Ends = time.Now()
		}
	}
}

// repeat is how often what fires and is known is posted again.
const repeat = 2 * time.Second

// inFlight reports whether an incident waits for its own action.
func inFlight(inc *engine.IncidentStatus) bool {
	return slices.ContainsFunc(inc.Because, func(r signalbox.Reason) bool { return r.Guard == "in_flight" && !r.Passed })
}

// due are the alerts that are to be posted, each as it is then.
func (s *sender) due() (now []*alert) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.alerts {
		again := a.Ends.IsZero() && s.open[a.Name] && time.Since(a.sent) > repeat
		if a.Taken.IsZero() || !a.Ends.IsZero() && a.EndTaken.IsZero() || again {
			now = append(now, a)
		}
	}
	return now
}

// post sends alerts, up to 200 a message.
func (s *sender) post(due []*alert) {
	for len(due) > 0 {
		some := due[:min(len(due), 200)]
		due = due[len(some):]
		ended := map[*alert]bool{}
		s.mu.Lock()
		var said []any
		for _, a := range some {
			ended[a] = !a.Taken.IsZero() && !a.Ends.IsZero()
			said = append(said, a.message(ended[a]))
			a.sent = time.Now()
		}
		s.mu.Unlock()
		code := s.send(said)
		if code/100 != 2 {
			continue
		}
		s.mu.Lock()
		for _, a := range some {
			if ended[a] {
				a.EndTaken = time.Now()
			} else if a.Taken.IsZero() {
				a.Taken = time.Now()
			}
		}
		s.mu.Unlock()
	}
}

func (a *alert) message(ended bool) map[string]any {
	status, ends := "firing", "0001-01-01T00:00:00Z"
	if ended {
		status, ends = "resolved", a.Ends.Format(time.RFC3339Nano)
	}
	return map[string]any{
		"status": status, "labels": map[string]string{"alertname": a.Name, "target": a.Target, "episode": a.Name},
		"annotations": map[string]string{}, "startsAt": a.Starts.Format(time.RFC3339Nano), "endsAt": ends, "generatorURL": "",
	}
}

// send posts one message, to one replica after the other until it is answered
// 2xx; 0: it was not answered.
func (s *sender) send(alerts []any) (code int) {
	for range s.c.all {
		if code = s.sendTo(s.c.all[s.door.Load()%int64(len(s.c.all))], alerts); code/100 == 2 {
			break
		}
		s.door.Add(1)
	}
	return code
}

func (s *sender) sendTo(door *daemon, alerts []any) int {
	body, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": "{}:{}", "receiver": "signalbox", "status": "firing", "truncatedAlerts": 0,
		"groupLabels": map[string]string{}, "commonLabels": map[string]string{}, "commonAnnotations": map[string]string{},
		"externalURL": "http://alertmanager:9093", "alerts": alerts,
	})
	if err != nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, door.webhooks+"/webhooks/alertmanager", bytes.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+webhookKey)
	resp, err := door.http.Do(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// blindFor is how long after the end of an alert on a class D target its incident
// may still come to an end. What is in doubt there never does by itself.
const blindFor = 45 * time.Second

// drained tells what is still under way; empty: nothing. An action of class D
// that is in doubt stays so: after a while its alert is not waited for, nor, once
// all is well (over), its incident a while after its end was taken.
func (s *sender) drained(over bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	left, example := 0, ""
	for _, a := range s.alerts {
		settled := s.over(a)
		if a.Target[:1] == classD && !settled && !a.Taken.IsZero() {
			settled = !over && time.Since(a.Taken) > 20*time.Second || !a.EndTaken.IsZero() && time.Since(a.EndTaken) > blindFor
		}
		if a.Taken.IsZero() || !settled {
			left++
			example = a.Name
		}
	}
	if left == 0 {
		return ""
	}
	return fmt.Sprintf("%d alerts, %s among them", left, example)
}

// endAll ends every alert that still fires: what made it ill is over.
func (s *sender) endAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.alerts {
		if a.Ends.IsZero() && !a.Taken.IsZero() {
			a.Ends = time.Now()
		}
	}
}

// storeWentBack has what fires sent again, as Alertmanager repeats it, and the
// end of what the store has open again, as a look at Alertmanager tells it.
func (s *sender) storeWentBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.alerts {
		if a.Ends.IsZero() {
			a.Taken = time.Time{}
		}
	}
	s.back, s.looked, s.open = time.Now(), time.Time{}, nil
}

// hold lets alerts go on firing whatever is done about them, or not.
func (s *sender) hold(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = on
}

// untaken tells how many alerts have no 2xx, and one of them.
func (s *sender) untaken() (left int, example string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.alerts {
		if a.Taken.IsZero() {
			left++
			example = a.Name
		}
	}
	return left, example
}

// awaitTaken waits until all alerts have their 2xx; an error: they have not got it.
func (s *sender) awaitTaken(within time.Duration) error {
	deadline, tick := time.After(within), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for {
		left, example := s.untaken()
		if left == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-deadline:
			return fmt.Errorf("%d alerts were not answered 2xx within %v, %s among them", left, within, example)
		}
	}
}
