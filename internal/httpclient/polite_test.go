package httpclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// service is a server within the bubble of a test: it has no network.
type service struct {
	answer func(r *http.Request, n int) (*http.Response, error) // n counts from 1
	asked  []*http.Request
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked = append(s.asked, r)
	return s.answer(r, len(s.asked))
}

func polite(s *service) *Polite[map[string]int] {
	u, _ := url.Parse("http://server/base")
	return NewPolite(Over(s, u, true, time.Now), PoliteOptions[map[string]int]{
		Every: time.Minute, Decode: DecodeJSON[map[string]int], Header: http.Header{"X-Version": {"1"}},
	})
}

func (p *Polite[T]) get(t *testing.T) (T, time.Time, error) {
	t.Helper()
	return p.Get(t.Context(), "x", url.Values{"a": {"b"}})
}

// elapse lets time go on; all of it is virtual here.
func elapse(d time.Duration) { <-time.After(d) }

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func TestPoliteAsksOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{answer: func(r *http.Request, n int) (*http.Response, error) {
			return response(r, 200, nil, fmt.Sprintf(`{"n":%d}`, n)), nil
		}}
		p, began := polite(s), time.Now()
		for range 60 { // four minutes of rounds
			v, at, err := p.get(t)
			if err != nil || v["n"] != len(s.asked) || time.Since(at) >= time.Minute {
				t.Fatalf("got %v of %v, %v", v, at, err)
			}
			elapse(4 * time.Second)
		}
		if want := int(time.Since(began) / time.Minute); len(s.asked) != want {
			t.Errorf("asked %d times, want %d", len(s.asked), want)
		}
		if r := s.asked[0]; r.URL.String() != "http://server/base/x?a=b" || r.Header.Get("X-Version") != "1" {
			t.Errorf("asked %v %v", r.URL, r.Header)
		}
	})
}

func TestPoliteIsConditional(t *testing.T) {
	for _, c := range []struct {
		name    string
		has     http.Header
		asked   string // the header of the second request
		value   string
		unknown bool // 304 was not asked for
	}{
		{"ETag", header("ETag", `W/"a"`, "Last-Modified", "x"), "If-None-Match", `W/"a"`, false},
		{"date", header("Last-Modified", "Sun, 01 Mar 2026 12:00:00 GMT"), "If-Modified-Since", "Sun, 01 Mar 2026 12:00:00 GMT", false},
		{"neither", nil, "If-None-Match", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &service{answer: func(r *http.Request, n int) (*http.Response, error) {
					if n == 1 {
						return response(r, 200, c.has.Clone(), `{"n":1}`), nil
					}
					return response(r, 304, header("Age", "5"), ""), nil
				}}
				p := polite(s)
				_, first, err := p.get(t)
				if err != nil {
					t.Fatal(err)
				}
				elapse(time.Minute)
				v, second, err := p.get(t)
				if got := s.asked[1].Header.Get(c.asked); got != c.value {
					t.Errorf("%s: %q, want %q", c.asked, got, c.value)
				}
				switch {
				case c.unknown && Status(err) != 304:
					t.Errorf("got %v, %v", v, err)
				case !c.unknown && (err != nil || v["n"] != 1 || second.Sub(first) != 55*time.Second):
					t.Errorf("got %v after %v, %v", v, second.Sub(first), err)
				}
			})
		})
	}
}

func TestPoliteHoldsOffWhenAsked(t *testing.T) {
	limited := func(code int, h http.Header) func(*http.Request) (*http.Response, error) {
		return func(r *http.Request) (*http.Response, error) { return response(r, code, h, "{}"), nil }
	}
	for _, c := range []struct {
		name  string
		first func(*http.Request) (*http.Response, error)
		wait  time.Duration // until another resource may be asked for; 0: at once
	}{
		{"429 with seconds", limited(429, header("Retry-After", "100")), 100 * time.Second},
		{"429 with a reset", limited(429, header("X-RateLimit-Reset", "100")), 100 * time.Second},
		{"429 without", limited(429, nil), time.Minute},
		{"429 with zero", limited(429, header("Retry-After", "0")), time.Minute},
		{"429 of a proxy", limited(429, header("Content-Type", "text/html")), time.Minute},
		{"420", limited(420, nil), time.Minute},
		{"503 with seconds", limited(503, header("Retry-After", "100")), 100 * time.Second},
		{"403 with nothing left", limited(403, header("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "100")), 100 * time.Second},
		{"200 with nothing left", limited(200, header("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "100")), 100 * time.Second},
		{"403 of one resource", limited(403, nil), 0},
		{"404 with requests left", limited(404, header("X-RateLimit-Remaining", "9", "X-RateLimit-Reset", "100")), 0},
		{"500", limited(500, nil), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &service{}
				s.answer = func(r *http.Request, n int) (*http.Response, error) {
					if n == 1 {
						return c.first(r)
					}
					return response(r, 200, nil, "{}"), nil
				}
				p := polite(s)
				_, _, _ = p.get(t)
				began := time.Now()
				for time.Since(began) < c.wait {
					_, _, err := p.Get(t.Context(), "other", nil)
					r, ok := errors.AsType[*signalbox.RetryAfter](err)
					if !ok || r.After != c.wait-time.Since(began) || !strings.Contains(err.Error(), "not asked") {
						t.Fatalf("got %v", err)
					}
					elapse(5 * time.Second)
				}
				if len(s.asked) != 1 {
					t.Fatalf("asked %d times while it should wait", len(s.asked))
				}
				if _, _, err := p.Get(t.Context(), "other", nil); err != nil || len(s.asked) != 2 {
					t.Errorf("got %v after %d requests", err, len(s.asked))
				}
			})
		})
	}
}

// Sent away again and again, it comes back more and more rarely, and as before
// once it was let in.
func TestPoliteBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		code := 429
		s := &service{answer: func(r *http.Request, _ int) (*http.Response, error) { return response(r, code, nil, "{}"), nil }}
		p := polite(s)
		var gaps []time.Duration
		last := time.Now()
		for n := 0; n < 7; elapse(15 * time.Second) {
			_, _, _ = p.get(t)
			if len(s.asked) > n {
				gaps, last, n = append(gaps, time.Since(last).Round(time.Minute)), time.Now(), len(s.asked)
			}
		}
		if got := fmt.Sprint(gaps); got != "[0s 1m0s 2m0s 4m0s 8m0s 16m0s 16m0s]" {
			t.Errorf("gaps %s", got)
		}
		elapse(lastPause)
		code = 200
		_, _, _ = p.get(t)
		code = 429
		elapse(time.Minute)
		_, _, _ = p.get(t)
		if left := time.Until(p.until); left != firstPause {
			t.Errorf("after a good answer the pause is %v", left)
		}
	})
}

func TestPoliteAfterErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body, code := `{"n":1}`, 200
		s := &service{answer: func(r *http.Request, _ int) (*http.Response, error) {
			return response(r, code, header("ETag", `"a"`), body), nil
		}}
		p := polite(s)
		_, _, _ = p.get(t)
		code = 500
		elapse(time.Minute)
		if v, at, err := p.get(t); Status(err) != 500 || v != nil || !at.IsZero() {
			t.Errorf("after an error what was read before must not count: %v, %v", v, err)
		}
		elapse(10 * time.Second) // too soon to ask again
		if _, _, err := p.get(t); Status(err) != 500 || len(s.asked) != 2 {
			t.Errorf("got %v after %d requests", err, len(s.asked))
		}
		code, body = 200, "["
		elapse(5 * time.Second)
		if _, _, err := p.get(t); err == nil || len(s.asked) != 3 {
			t.Errorf("got %v after %d requests", err, len(s.asked))
		}
		body = `{"n":2}`
		elapse(15 * time.Second)
		v, _, err := p.get(t)
		if err != nil || v["n"] != 2 || s.asked[3].Header.Get("If-None-Match") != "" {
			t.Errorf("got %v, %v, asked with %v: a broken answer must not be asked for conditionally", v, err, s.asked[3].Header)
		}
	})
}

// Refused credentials don't pass by themselves: they are not tried again soon,
// and other resources are asked for as before.
func TestPoliteAfterRefusal(t *testing.T) {
	for _, code := range []int{401, 403} {
		synctest.Test(t, func(t *testing.T) {
			s := &service{answer: func(r *http.Request, _ int) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/secret") {
					return response(r, code, nil, "{}"), nil
				}
				return response(r, 200, nil, `{"n":1}`), nil
			}}
			p := polite(s)
			for range 59 {
				if _, _, err := p.Get(t.Context(), "secret", nil); Status(err) != code {
					t.Fatalf("got %v", err)
				}
				if v, _, err := p.get(t); err != nil || v["n"] != 1 {
					t.Fatalf("of another resource: %v, %v", v, err)
				}
				elapse(time.Second)
			}
			secret := 0
			for _, r := range s.asked {
				if strings.HasSuffix(r.URL.Path, "/secret") {
					secret++
				}
			}
			if secret != 1 {
				t.Errorf("%d: asked %d times within a minute, want once", code, secret)
			}
		})
	}
}

// One caller asks, the others wait for it, and a caller who can't wait goes.
func TestPoliteOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{answer: func(r *http.Request, _ int) (*http.Response, error) {
			elapse(10 * time.Second)
			return response(r, 200, nil, "{}"), nil
		}}
		p := polite(s)
		done := make(chan error)
		for range 20 {
			go func() { _, _, err := p.get(t); done <- err }()
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := p.Get(ctx, "x", url.Values{"a": {"b"}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		for range 20 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if len(s.asked) != 1 {
			t.Errorf("asked %d times", len(s.asked))
		}
	})
}

// A caller's own deadline says nothing of the server: the next one asks.
func TestPoliteDeadlineIsNotHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		s.answer = func(r *http.Request, n int) (*http.Response, error) {
			if n == 1 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return response(r, 200, nil, "{}"), nil
		}
		p := polite(s)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := p.Get(ctx, "x", url.Values{"a": {"b"}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if _, _, err := p.get(t); err != nil {
			t.Errorf("got %v", err)
		}
	})
}

func TestPoliteForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{answer: func(r *http.Request, _ int) (*http.Response, error) { return response(r, 200, nil, "{}"), nil }}
		p := polite(s)
		for i := range maxHeld + 10 {
			_, _, _ = p.Get(t.Context(), fmt.Sprint("x", i), nil)
			elapse(time.Millisecond)
		}
		if len(p.held) != maxHeld || p.held["x9?"] != nil || p.held["x10?"] == nil {
			t.Errorf("%d are held", len(p.held))
		}
	})
}
