package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"mime"
	"net/url"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/telling"
)

// form is how values are escaped.
type form int

const (
	formOther form = iota // nothing can be filled in
	formJSON
	formURL
	formText
)

func formOf(contentType string) form {
	name, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return formOther
	case name == "application/json", strings.HasSuffix(name, "+json"):
		return formJSON
	case name == "application/x-www-form-urlencoded":
		return formURL
	case name == "text/plain":
		return formText
	}
	return formOther
}

// escape makes a foreign value fit for a body.
func (f form) escape(value string) string {
	switch f {
	case formJSON:
		b, err := json.Marshal(value)
		if err != nil || len(b) < 2 {
			return ""
		}
		return string(b[1 : len(b)-1])
	case formURL:
		return url.QueryEscape(value)
	case formText, formOther:
	}
	return value
}

// checkBody says what is wrong with a body; empty: nothing. In JSON a field must
// stand within a string: anywhere else its value could be read as more than a
// value.
func checkBody(body, contentType string, labels []string) string {
	t, err := telling.Parse(body, labels)
	if err != nil {
		return err.Error()
	}
	named := 0
	sample := &signalbox.About{Subject: "x", Detector: "x", Owner: "x", Policy: "x", Incident: "x", OpenedAt: time.Unix(0, 0), Labels: map[string]string{}}
	for _, name := range labels {
		sample.Labels[name] = "x"
	}
	text, err := t.Expand(sample, func(string) string { named++; return "x" })
	switch f := formOf(contentType); {
	case err != nil:
		return err.Error()
	case f == formJSON && body != "" && !json.Valid([]byte(text)):
		return "must be JSON, with each field within a string: \"{{subject}}\""
	case f == formOther && named > 0:
		return "must name no field: values can be escaped for JSON, forms and plain text only"
	}
	return ""
}

// fill makes the body of one incident.
func (s *spec) fill(about *signalbox.About) ([]byte, error) {
	t, err := telling.Parse(s.Body, s.Labels)
	if err != nil {
		return nil, errors.New("body " + err.Error())
	}
	f := formOf(s.ContentType)
	text, err := t.Expand(about, f.escape)
	if err != nil {
		return nil, err
	}
	if f == formJSON && text != "" && !json.Valid([]byte(text)) {
		return nil, errors.New("body must be JSON, with each field within a string")
	}
	return []byte(text), nil
}

// sign is the signature of a body; stamp is the time that it binds, if any.
func sign(key, body []byte, stamp string) string {
	mac := hmac.New(sha256.New, key)
	if stamp != "" {
		mac.Write([]byte(stamp + "."))
	}
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}
