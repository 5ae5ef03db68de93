package httpclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	signalbox "github.com/signalbox/signalbox"
)

func TestAfter(t *testing.T) {
	const none = time.Duration(-1)
	date := func(d time.Duration) string { return moment.Add(d).Format(http.TimeFormat) }
	epoch := func(d time.Duration) string { return fmt.Sprint(moment.Add(d).Unix()) }
	for _, c := range []struct {
		name   string
		status int
		header []string // name, value, …
		want   time.Duration
	}{
		{"none", 429, nil, none},
		{"seconds", 429, []string{"Retry-After", "7"}, 7 * time.Second},
		{"seconds of a 503", 503, []string{"Retry-After", " 7 "}, 7 * time.Second},
		{"zero", 429, []string{"Retry-After", "0"}, 0},
		{"negative", 429, []string{"Retry-After", "-5"}, none},
		{"for ever", 429, []string{"Retry-After", "99999999"}, maxPause},
		{"beyond all numbers", 429, []string{"Retry-After", "99999999999999999999999"}, maxPause},
		{"date", 429, []string{"Retry-After", date(time.Minute)}, time.Minute},
		{"date by the server's clock", 429, []string{"Retry-After", date(11 * time.Minute), "Date", date(10 * time.Minute)}, time.Minute},
		{"a cache's date", 429, []string{"Retry-After", date(time.Minute), "Date", date(-time.Hour), "Age", "3600"}, time.Minute},
		{"past date", 429, []string{"Retry-After", date(-time.Minute)}, 0},
		{"far date", 429, []string{"Retry-After", date(24 * time.Hour)}, maxPause},
		{"word", 429, []string{"Retry-After", "soon"}, none},
		{"reset in seconds", 429, []string{"X-RateLimit-Reset", "9"}, 9 * time.Second},
		{"reset from 1970", 403, []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", epoch(40 * time.Minute)}, 40 * time.Minute},
		{"reset gone by", 403, []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", epoch(-time.Minute)}, 0},
		{"reset with requests left", 404, []string{"X-RateLimit-Remaining", "4999", "X-RateLimit-Reset", epoch(40 * time.Minute)}, none},
		{"reset of a 500", 500, []string{"X-RateLimit-Reset", "9"}, none},
		{"Retry-After counts first", 429, []string{"Retry-After", "3", "X-RateLimit-Reset", "9"}, 3 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{}
			for i := 0; i+1 < len(c.header); i += 2 {
				h.Set(c.header[i], c.header[i+1])
			}
			err := After(&Error{Status: c.status}, h, moment)
			got := none
			if r, ok := errors.AsType[*signalbox.RetryAfter](err); ok {
				got = r.After
			}
			if got != c.want || Status(err) != c.status {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestExplainKeepsWhatIsAskedFor(t *testing.T) {
	e := &Error{Status: 404}
	wrapped := &url.Error{Op: "Get", URL: "http://u:" + secret + "@h/", Err: &signalbox.RetryAfter{After: time.Second, Err: fmt.Errorf("x: %w", e)}}
	got := Explain(fmt.Errorf("y: %w", wrapped))
	if r, ok := errors.AsType[*signalbox.RetryAfter](got); !ok || r.After != time.Second || Status(got) != 404 || strings.Contains(got.Error(), secret) {
		t.Errorf("got %v", got)
	}
	for _, want := range []error{context.Canceled, context.DeadlineExceeded, ErrTooLarge} {
		if got := Explain(&url.Error{URL: secret, Err: want}); !errors.Is(got, want) || strings.Contains(got.Error(), secret) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	if Explain(nil) != nil || Status(nil) != 0 || Status(errors.New("x")) != 0 {
		t.Error("nothing must stay nothing")
	}
}

func FuzzExplain(f *testing.F) {
	f.Add("http://u:"+secret+"@h/", "malformed HTTP response \""+secret+"\"")
	f.Add("%", "a \"b\\\"c")
	f.Fuzz(func(t *testing.T, address, text string) {
		const mark = "\u2603secret\u2603"
		err := Explain(fmt.Errorf("x: %w", &url.Error{Op: "Get", URL: address + mark, Err: fmt.Errorf("malformed %q", text+mark)}))
		checkPlain(t, err.Error())
		if strings.Contains(err.Error(), mark) {
			t.Errorf("%q holds the address or what was quoted", err)
		}
	})
}

func FuzzPlain(f *testing.F) {
	f.Add("a\x00b\u202ec\xff", 10)
	f.Add(strings.Repeat("ü", 400), 300)
	f.Fuzz(func(t *testing.T, text string, most int) {
		most = 3 + (most&0x7fffffff)%1000
		got := Plain(text, most)
		if len(got) > most {
			t.Errorf("%d bytes of at most %d", len(got), most)
		}
		checkPlain(t, got)
	})
}

func checkPlain(t *testing.T, text string) {
	t.Helper()
	if len(text) > 2*maxText && len(text) > 1000 || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
		t.Errorf("%q is not one plain line", text)
	}
}

// Whatever a server says with what it was sent, the error does not hold it.
func FuzzEcho(f *testing.F) {
	f.Add(uint16(400), "bad token ", "", "text/plain")
	f.Add(uint16(429), strings.Repeat("x", 290), strings.Repeat("y", 290), "application/json")
	f.Add(uint16(200), `{"n":"`, `"}`, "application/json")
	f.Fuzz(func(t *testing.T, code uint16, before, after, contentType string) {
		u, _ := url.Parse("http://server")
		c := Over(trip(func(r *http.Request) (*http.Response, error) {
			sent := r.Clone(r.Context())
			sent.SetBasicAuth("user", secret)
			h := http.Header{"Content-Type": {contentType + secret}, "Retry-After": {secret}, "Location": {secret}}
			return response(sent, 100+int(code)%500, h, before+secret+after+sent.Header.Get("Authorization")), nil
		}), u, true, func() time.Time { return moment })
		var into struct{ N int }
		err := c.JSON(t.Context(), http.MethodGet, "x", nil, nil, &into, whole)
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "dXNlcjpodW50ZXIy")) {
			t.Errorf("%v", err)
		}
	})
}
