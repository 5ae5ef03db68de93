package datadog

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// vendor is Datadog in memory: it allows limit requests a period, and answers
// 429 beyond that, with or without headers.
type vendor struct {
	limit, period int
	bare          bool // 429 comes without headers

	mu     sync.Mutex
	began  time.Time
	used   int
	sent   []time.Time
	denied int
	drop   int // requests that meet a fault of the network
	down   int // requests that are answered 503, with Retry-After: 5
}

func (v *vendor) RoundTrip(r *http.Request) (*http.Response, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	v.sent = append(v.sent, now)
	if v.drop > 0 {
		v.drop--
		return nil, io.ErrUnexpectedEOF
	}
	if v.down > 0 {
		v.down--
		return &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {"5"}}, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
	}
	period := time.Duration(v.period) * time.Second
	if now.Sub(v.began) >= period {
		v.began, v.used = now, 0
	}
	h := http.Header{"Content-Type": {"application/json"}}
	status, id := 200, r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	body := `{"id":` + id + `,"type":"metric alert","query":"q","overall_state":"OK"}`
	if v.used++; v.used > v.limit {
		status, body = 429, `{"errors":["Rate limited"]}`
		v.denied++
	}
	if status == 200 || !v.bare {
		h.Set("X-RateLimit-Limit", strconv.Itoa(v.limit))
		h.Set("X-RateLimit-Period", strconv.Itoa(v.period))
		h.Set("X-RateLimit-Remaining", strconv.Itoa(max(0, v.limit-v.used)))
		left := v.began.Add(period).Sub(now)
		h.Set("X-RateLimit-Reset", strconv.Itoa(int((left+time.Second-1)/time.Second)))
	}
	if v.bare {
		h = http.Header{"Content-Type": {"application/json"}}
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// inMemory is a source over a vendor in memory.
func inMemory(t *testing.T, v *vendor, timeout time.Duration) *Source {
	t.Helper()
	set := newSettings()
	set.Site, set.Timeout = "datadoghq.com", kind.Duration(timeout)
	set.APIKeyFile, set.ApplicationKeyFile = keyFile(t, apiKey), keyFile(t, appKey)
	client := httpclient.Over(v, &url.URL{Scheme: "https", Host: "api.datadoghq.com"}, false, time.Now)
	return newSource(set, client, kind.Env{Log: slog.New(slog.DiscardHandler), Now: time.Now, Agent: "signalbox/test"})
}

func monitors(from, n int) []signalbox.Question {
	qs := make([]signalbox.Question, n)
	for i := range qs {
		qs[i].Query = question{what: asksMonitor, monitor: int64(from + i)}.text()
	}
	return qs
}

func failures(answers []signalbox.Answer) (n int, last error) {
	for _, a := range answers {
		if a.Err != nil {
			n, last = n+1, a.Err
		}
	}
	return n, last
}

func TestRequestsStayWithinTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{limit: 10, period: 10}
		s := inMemory(t, v, time.Minute)
		s.Ask(t.Context(), monitors(1000, 1), time.Now()) // the headers are known now
		n, err := failures(s.Ask(t.Context(), monitors(1, 40), time.Now()))
		if n > 0 || v.denied > 1 {
			t.Errorf("%d of 40 failed (%v), and %d were denied", n, err, v.denied)
		}
	})
}

func TestNoStormAfter429(t *testing.T) {
	for name, bare := range map[string]bool{"with headers": false, "without headers": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &vendor{limit: 1, period: 30, bare: bare, began: time.Now(), used: 1}
				s := inMemory(t, v, 10*time.Second)
				start := time.Now()
				n, err := failures(s.Ask(t.Context(), monitors(1, 100), start))
				if n != 100 || err == nil {
					t.Fatalf("%d of 100 failed, want all", n)
				}
				// At most the eight that were under way, and then one at a time.
				if len(v.sent) > maxConcurrent+4 {
					t.Errorf("%d requests were sent while Datadog sends us away", len(v.sent))
				}
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("the answers took %s, beyond the timeout", took)
				}
			})
		})
	}
}

func TestResetIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{limit: 1, period: 7, began: time.Now(), used: 1}
		s := inMemory(t, v, 30*time.Second)
		start := time.Now()
		if n, err := failures(s.Ask(t.Context(), monitors(1, 1), start)); n > 0 {
			t.Fatal(err)
		}
		if len(v.sent) != 2 || v.sent[1].Sub(start) < 7*time.Second {
			t.Errorf("sent at %v after %v: want the second after the reset", v.sent, start)
		}
	})
}

func TestNoTimeLeftIsAnAnswerAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{limit: 1, period: 60, began: time.Now(), used: 1}
		s := inMemory(t, v, 10*time.Second)
		s.Ask(t.Context(), monitors(1, 1), time.Now())
		start := time.Now()
		n, err := failures(s.Ask(t.Context(), monitors(2, 1), start))
		if n != 1 || !strings.Contains(err.Error(), "rate limit") || time.Since(start) > 0 {
			t.Errorf("got %v after %s, want a refusal at once", err, time.Since(start))
		}
	})
}

func TestFaultsOfTheNetworkAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{limit: 100, period: 10, drop: 2}
		s := inMemory(t, v, 10*time.Second)
		if n, err := failures(s.Ask(t.Context(), monitors(1, 1), time.Now())); n > 0 || len(v.sent) != 3 {
			t.Errorf("got %v after %d requests", err, len(v.sent))
		}
	})
}

// A server that is down says when to come back; before, it is left alone, and
// where there is no time for that, the answer comes at once.
func TestRetryAfterIsHonoured(t *testing.T) {
	for timeout, failed := range map[time.Duration]int{30 * time.Second: 0, 4 * time.Second: 1} {
		synctest.Test(t, func(t *testing.T) {
			v := &vendor{limit: 100, period: 10, down: 1}
			s := inMemory(t, v, timeout)
			start := time.Now()
			n, err := failures(s.Ask(t.Context(), monitors(1, 1), start))
			switch {
			case n != failed:
				t.Errorf("with %s of time: %v", timeout, err)
			case failed > 0 && (len(v.sent) != 1 || time.Since(start) > 0 || !strings.Contains(err.Error(), "503")):
				t.Errorf("got %v after %d requests and %s, want it at once", err, len(v.sent), time.Since(start))
			case failed == 0 && v.sent[1].Sub(start) < 5*time.Second:
				t.Errorf("asked again after %s", v.sent[1].Sub(start))
			}
		})
	}
}

// The limit is the source's, and not a detector's: callers share it.
func TestLimitIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{limit: 10, period: 10}
		s := inMemory(t, v, time.Minute)
		var callers sync.WaitGroup
		for i := range 20 {
			callers.Go(func() {
				if n, err := failures(s.Ask(t.Context(), monitors(10*i+1, 2), time.Now())); n > 0 {
					t.Errorf("caller %d: %v", i, err)
				}
			})
		}
		callers.Wait()
		if v.denied > maxConcurrent { // those that were sent before the first answer told of a limit
			t.Errorf("%d requests were denied", v.denied)
		}
		for i := range v.sent[1:] { // in no period more than the limit and those denied
			within := 0
			for _, at := range v.sent[i:] {
				if at.Sub(v.sent[i]) < time.Duration(v.period)*time.Second {
					within++
				}
			}
			if within > 2*v.limit {
				t.Fatalf("%d requests within one period of %d", within, v.limit)
			}
		}
	})
}

func TestCancelEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter("x", time.Now)
		l.until = time.Now().Add(time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.enter(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-done; err == nil {
			t.Error("a cancelled wait took a place")
		}
	})
}
