package acceptance

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/test/servers"
)

// house is several daemons on one external etcd, with one configuration and one
// pager between them. Its box is the first, of which the others take theirs.
type house struct {
	*box
	etcd  *servers.EtcdServer
	boxes []*box
}

// calmLease is what a leader that lives does not lose on a busy machine.
const calmLease = 10 * time.Second

// newHouse makes three daemons; none runs before open.
func newHouse(t *testing.T) *house {
	t.Helper()
	return newHouseOf(t, calmLease)
}

// newHouseOf is newHouse for a test of how soon another leads.
func newHouseOf(t *testing.T, lease time.Duration) *house {
	t.Helper()
	etcd := servers.Etcd(t)
	first := newBox(t)
	first.name = "one"
	first.args = []string{"--store", etcd.URL, "--store.ca-file", etcd.CA, "--store.cert-file", etcd.Cert, "--store.key-file", etcd.Key, "--store.lease", lease.String()}
	h := &house{box: first, etcd: etcd, boxes: []*box{first, first.sibling("two"), first.sibling("three")}}
	for _, b := range h.boxes {
		b.args = append(slices.Clip(b.args), "--replicas.listen-address", freeAddress(t))
	}
	return h
}

// sibling is another daemon with the same configuration and pager.
func (b *box) sibling(name string) *box {
	s := &box{
		t: b.t, config: b.config, data: b.t.TempDir(), pager: b.pager, pagerURL: b.pagerURL, name: name, args: b.args,
		control: "http://" + freeAddress(b.t), webhooks: "http://" + freeAddress(b.t),
	}
	b.t.Cleanup(func() {
		s.kill()
		if s.t.Failed() && s.log != nil {
			s.t.Logf("the log of %s:\n%s", name, s.log.tail(120))
		}
	})
	return s
}

// open starts all, and waits until one leads and the others stand by.
func (h *house) open() {
	h.t.Helper()
	for _, b := range h.boxes {
		b.launch()
	}
	h.whole()
}

// whole waits until one of those that run leads, and the others stand by.
func (h *house) whole() {
	h.t.Helper()
	h.eventually("one to lead, and the others to stand by", func() error {
		leads, stands, runs := 0, 0, 0
		for _, b := range h.boxes {
			if b.cmd == nil {
				continue
			}
			runs++
			st, err := b.statusNow()
			if err != nil {
				return err
			}
			if st.Leading {
				leads++
			}
			if st.StandsBy && st.Leader != "" {
				stands++
			}
		}
		if leads != 1 || leads+stands != runs {
			return fmt.Errorf("of %d that run %d lead and %d stand by", runs, leads, stands)
		}
		return nil
	})
}

func (b *box) statusNow() (engine.Status, error) {
	var st engine.Status
	err := b.get(b.t.Context(), "/api/v1/status", &st)
	return st, err
}

// leader is the one that leads, and others those that run beside it.
func (h *house) leader() (leader *box, others []*box) {
	h.t.Helper()
	h.eventually("one to lead", func() error {
		leader, others = nil, nil
		for _, b := range h.boxes {
			if b.cmd == nil {
				continue
			}
			st, err := b.statusNow()
			switch {
			case err == nil && st.Leading && leader == nil:
				leader = b
			case err == nil && st.Leading:
				if again, err := leader.statusNow(); err == nil && again.Leading { // it may have ended between the two looks
					h.t.Errorf("%s and %s lead at once", leader.name, b.name)
				}
				return fmt.Errorf("%s led, and then %s does", leader.name, b.name)
			default:
				others = append(others, b)
			}
		}
		if leader == nil {
			return errors.New("nobody leads")
		}
		return nil
	})
	return leader, others
}

// successor waits until another of the house leads than before did.
func (h *house) successor(before *box) *box {
	h.t.Helper()
	var next *box
	h.eventually("another to lead", func() error {
		for _, b := range h.boxes {
			if b.cmd == nil || b == before {
				continue
			}
			if st, err := b.statusNow(); err == nil && st.Leading {
				next = b
				return nil
			}
		}
		return errors.New("nobody else leads")
	})
	return next
}

// metric is one value of a daemon's metrics, as it is written.
func (b *box) metric(name string) string {
	b.t.Helper()
	body, err := b.metrics()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, line := range strings.Split(body, "\n") {
		if v, ok := strings.CutPrefix(line, name+" "); ok {
			return v
		}
	}
	return ""
}

// sender posts alerts without a pause, as an Alertmanager does: each to some
// replica, and again until one has taken it.
type sender struct {
	h     *house
	quit  chan struct{}
	done  sync.WaitGroup
	mu    sync.Mutex
	taken []string // acknowledged
	tries int
}

// send begins to post alerts with a name that begins so.
func (h *house) send(prefix string) *sender {
	s := &sender{h: h, quit: make(chan struct{})}
	s.done.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			s.one(fmt.Sprintf("%s%04d", prefix, i), i)
			select {
			case <-tick.C:
			case <-s.quit:
				return
			}
		}
	})
	h.t.Cleanup(s.stop)
	return s
}

func (s *sender) one(name string, turn int) {
	began := time.Now()
	for n := turn; ; n++ {
		code := s.h.boxes[n%len(s.h.boxes)].post("firing", name, began, nil)
		s.mu.Lock()
		s.tries++
		if code == 200 {
			s.taken = append(s.taken, name)
		}
		s.mu.Unlock()
		if code == 200 {
			return
		}
		select {
		case <-s.quit:
			return // nobody took it: it is not acknowledged
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *sender) stop() {
	select {
	case <-s.quit:
	default:
		close(s.quit)
	}
	s.done.Wait()
}

// allTaken reports whether each alert that was acknowledged is an incident of
// the leader's, once, and no other is.
func (s *sender) allTaken() error {
	leader, _ := s.h.leader()
	st, err := leader.statusNow()
	if err != nil {
		return err
	}
	got := map[string]int{}
	for _, inc := range st.Incidents {
		if inc.Reading.Detector == "alerts" {
			got[inc.Reading.Subject]++
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.taken {
		if got[name] != 1 {
			return fmt.Errorf("%s was acknowledged and is %d incidents (%d acknowledged, %d incidents)", name, got[name], len(s.taken), len(got))
		}
	}
	return nil
}

// spread tells the median and the greatest of some times.
func spread(all []time.Duration) (p50, most time.Duration) {
	slices.Sort(all)
	return all[len(all)/2].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond)
}

// edit changes a text in a file of the configuration, which must be there.
func (b *box) edit(name, from, to string) {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.config, name))
	if err != nil {
		b.t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		b.t.Fatalf("%s does not hold %q", name, from)
	}
	b.write(name, strings.ReplaceAll(string(text), from, to))
}

// beats waits until a replica's heartbeat in the store tells something.
func (h *house) beats(what string, b *box, tells func(*signalbox.Heartbeat) bool) {
	h.t.Helper()
	client := h.etcd.Client()
	h.eventually("the heartbeat to tell "+what, func() error {
		got, err := client.Get(h.t.Context(), string(signalbox.BeatKey(b.name)))
		if err != nil || len(got.Kvs) != 1 {
			return fmt.Errorf("no heartbeat: %w", err)
		}
		var record struct {
			Beat signalbox.Heartbeat `json:"r"`
		}
		if err := json.Unmarshal(got.Kvs[0].Value, &record); err != nil || !tells(&record.Beat) {
			return fmt.Errorf("it says %s %w", got.Kvs[0].Value, err)
		}
		return nil
	})
}
