package webhook

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/reach"
)

// judge says what a status means: done, surely not done, or a doubt.
func (q *request) judge(resp *http.Response, now time.Time) (signalbox.Receipt, error) {
	code := resp.StatusCode
	text := fmt.Errorf("%s %s was answered %d %s", q.Method, q.shown(q.to), code, http.StatusText(code))
	if slices.Contains(q.Expect, code) {
		return signalbox.Receipt{At: now, Detail: text.Error(), Final: true}, nil
	}
	later := httpclient.After(text, resp.Header, now)
	switch {
	case code/100 == 2:
		return signalbox.Receipt{}, fmt.Errorf("%w, which `expect` does not list", text)
	case code == http.StatusTemporaryRedirect, code == http.StatusPermanentRedirect:
		return signalbox.Receipt{}, &signalbox.Failure{Reason: "a redirect is not followed: give the address to which it leads", Err: text}
	case q.Key != "" && (code == http.StatusConflict || code == http.StatusTooEarly):
		return signalbox.Receipt{}, later // the first request with this key may still be at work
	case reach.Definite(code):
		return signalbox.Receipt{}, &signalbox.Failure{Reason: "the target refused", Err: later}
	}
	return signalbox.Receipt{}, later // 301 to 303 also answer what was done; a server's 5xx says nothing
}
