package setting

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/reach"
)

// fenceField is the field of the object that holds our fence. An object that
// shows it, null where nothing was written yet, is of class A.
const fenceField = "signalbox"

// httpSetting is one field of a JSON object behind an HTTP API. It reads with
// GET and writes the whole object back with PUT and If-Match (RFC 9110,
// sections 8.8.3 and 13.1.1).
type httpSetting struct {
	spec   httpSpec
	client *http.Client
}

func (h *httpSetting) target() signalbox.Target {
	address := h.spec.URL
	if u, err := url.Parse(address); err == nil {
		address = canonicalURL(u)
	}
	return signalbox.Target(fmt.Sprintf("http %s %s", address, h.spec.Field))
}

func (h *httpSetting) reach() string {
	return fmt.Sprintf("everything that reads field %s at %s", h.spec.Field, h.spec.URL)
}

func (h *httpSetting) byHand(value string) string { return h.jq("--arg v "+reach.Quote(value), "$v") }

func (h *httpSetting) handBack() string {
	return strings.ReplaceAll(h.jq("", "null"), "--arg f "+reach.Quote(h.spec.Field), "--arg f "+fenceField)
}

// jq is a command that sets field $f, whatever the version: a person means it.
// It leaves the credentials to the person.
func (h *httpSetting) jq(args, value string) string {
	address := reach.Quote(h.spec.URL)
	program := strings.Join(strings.Fields(fmt.Sprintf("jq --arg f %s %s", reach.Quote(h.spec.Field), args)), " ")
	return fmt.Sprintf("curl -fsS %s | %s '.[$f] = %s' | curl -fsS -X PUT -H 'Content-Type: application/json' -H 'If-Match: *' --data-binary @- %s",
		address, program, value, address)
}

// may is not known before a write.
func (h *httpSetting) may(context.Context) string { return "" }

func (h *httpSetting) read(ctx context.Context) (state, error) {
	ctx, cancel := context.WithTimeout(ctx, reach.CallTimeout)
	defer cancel()
	resp, body, err := h.send(ctx, http.MethodGet, "", nil)
	if err != nil {
		return state{}, fmt.Errorf("%s: get: %w", h.target(), reach.Unanswered(ctx, err))
	}
	if resp.StatusCode != http.StatusOK {
		return state{}, h.explain(http.MethodGet, resp)
	}
	object, err := decodeObject(resp.Header.Get("Content-Type"), body)
	if err != nil {
		return state{}, fmt.Errorf("%s: get: %w", h.target(), err)
	}
	return h.state(object, resp.Header.Get("ETag"))
}

func (h *httpSetting) state(object map[string]json.RawMessage, etag string) (state, error) {
	raw, ok := object[h.spec.Field]
	if !ok {
		return state{}, reach.Refused("%s: the object has no field %q", h.target(), h.spec.Field)
	}
	st := state{version: etag, object: object}
	if err := json.Unmarshal(raw, &st.value); err != nil || !isString(raw) {
		return state{}, reach.Refused("%s: field %q must be a string", h.target(), h.spec.Field)
	}
	if !strongETag(etag) {
		st.blocked = fmt.Sprintf("%s: the answer has no strong ETag, so that a write could overwrite another's", h.target())
	}
	fenced, carries := object[fenceField]
	if !carries {
		st.class, st.latency = signalbox.ClassC, h.spec.Latency.Std()
		return st, nil
	}
	st.class = signalbox.ClassA
	if string(fenced) == "null" {
		return st, nil
	}
	f, err := fence.Parse(fenced)
	if err != nil {
		st.blocked = fmt.Sprintf("%s: field %s %v; to hand it back: %s", h.target(), fenceField, err, h.handBack())
	}
	st.fence = f
	return st, nil
}

func (h *httpSetting) write(ctx context.Context, s state, c change, gate func() error) (string, error) {
	body, err := h.body(s, c)
	if err != nil {
		return "", &signalbox.Failure{Reason: "the object can't be written", Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, reach.CallTimeout)
	defer cancel()
	if err := reach.Pass(ctx, gate); err != nil {
		return "", err
	}
	resp, _, err := h.send(ctx, http.MethodPut, s.version, body)
	if err != nil && resp == nil {
		text := fmt.Errorf("%s: put: %w", h.target(), reach.Unanswered(ctx, err))
		if reach.Undelivered(err) {
			return "", &signalbox.Failure{Reason: "nothing was sent", Err: text}
		}
		return "", text
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent: // a body that was cut off takes nothing back
		if etag := resp.Header.Get("ETag"); strongETag(etag) {
			return etag, nil
		}
		return "", nil
	case http.StatusPreconditionFailed, http.StatusConflict:
		return "", reach.ErrConflict
	}
	return "", h.explain(http.MethodPut, resp)
}

// body is the object as it was read, with the value and, where it has a place
// for it, the fence.
func (h *httpSetting) body(s state, c change) ([]byte, error) {
	object := make(map[string]json.RawMessage, len(s.object))
	for k, v := range s.object {
		object[k] = v
	}
	if c.value != nil {
		value, err := json.Marshal(*c.value)
		if err != nil {
			return nil, err
		}
		object[h.spec.Field] = value
	}
	if s.class == signalbox.ClassA {
		encoded, err := c.fence.Encode()
		if err != nil {
			return nil, err
		}
		object[fenceField] = encoded
	}
	return json.Marshal(object)
}

// send does one request. Where the answer's head came and its body did not,
// both the response and an error are returned.
func (h *httpSetting) send(ctx context.Context, method, ifMatch string, body []byte) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, h.spec.URL, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Cache-Control", "no-cache")
	if method == http.MethodPut {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("If-Match", ifMatch)
	} else {
		r.Body, r.GetBody, r.ContentLength = http.NoBody, nil, 0
	}
	resp, err := h.client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp, answer, err
}

// explain says what a status that is no success means. The body is not
// repeated: it may be a proxy's, and echo what we sent.
func (h *httpSetting) explain(method string, resp *http.Response) error {
	code := resp.StatusCode
	text := fmt.Errorf("%s: %s was answered %d %s", h.target(), strings.ToLower(method), code, http.StatusText(code))
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return &signalbox.Failure{Reason: "the daemon's credentials are not accepted, or may not do this", Err: text}
	case http.StatusNotFound, http.StatusGone:
		return &signalbox.Failure{Reason: "the setting is not there", Err: text}
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return &signalbox.Failure{Reason: "the setting has moved, and redirects are not followed: give its own URL", Err: text}
	}
	waited := reach.Later(retryAfter(resp.Header.Get("Retry-After")), text)
	if reach.Definite(code) && (method == http.MethodPut || code != http.StatusTooManyRequests) {
		return &signalbox.Failure{Reason: "the target refused", Err: waited}
	}
	return waited
}

// maxRetryAfter bounds what a target may ask for.
const maxRetryAfter = time.Hour

// retryAfter reads the header in its form of seconds; a date would need a clock
// that agrees with the target's, and counts as not given.
func retryAfter(header string) time.Duration {
	seconds, err := strconv.ParseUint(strings.TrimSpace(header), 10, 32)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryAfter)
}

// decodeObject reads one JSON object and nothing after it. Its fields are kept
// as they are written, so that numbers come back unchanged.
func decodeObject(contentType string, body []byte) (map[string]json.RawMessage, error) {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return nil, fmt.Errorf("the answer must be application/json, got %q", reach.Shown(kind))
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil || object == nil {
		return nil, errors.New("the answer is not one JSON object")
	}
	return object, nil
}

func isString(raw json.RawMessage) bool {
	return strings.HasPrefix(strings.TrimLeft(string(raw), " \t\r\n"), `"`)
}

// strongETag reports an entity tag that changes with every change (RFC 9110,
// section 8.8.3).
func strongETag(etag string) bool {
	return len(etag) >= 3 && etag[0] == '"' && etag[len(etag)-1] == '"' && !strings.Contains(etag[1:len(etag)-1], `"`)
}
