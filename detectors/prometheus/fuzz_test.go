package prometheus

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
)

// canned is a server that says one thing, without a network.
type canned struct {
	code int
	kind string
	body []byte
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: c.code, Header: http.Header{"Content-Type": {c.kind}}, Body: io.NopCloser(bytes.NewReader(c.body)),
		Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1,
	}, nil
}

// Whatever a server says, an answer is either an error, in one bounded line, or
// samples that are all of the moment; and a reading of it is known only when
// its value is finite and samples are behind it.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "application/json", []byte(vector("", sampleText)))
	f.Add(200, "application/json", []byte(vector(`"warnings":["a"],`, sampleText)))
	f.Add(200, "application/json", []byte(vector("", `null,{"metric":null,"value":[1772366400,"NaN"]}`)))
	f.Add(200, "application/json", []byte(`{"status":"success","data":{"resultType":"scalar","result":[1772366400,"7"]}}`))
	f.Add(200, "application/json", []byte(`{"status":"success","data":{"resultType":"scalar","result":null}}`))
	f.Add(422, "application/json", []byte(`{"status":"error","errorType":"execution","error":"x\ny"}`))
	f.Add(502, "text/html", []byte("<html>"))
	f.Add(503, "text/plain", []byte(`{"error":"\u0000\uffff"}`))
	d := build(f, lagSettings(), "db/{{cluster}}")
	address := &url.URL{Scheme: "http", Host: "prometheus:9090"}
	f.Fuzz(func(t *testing.T, code int, kind string, body []byte) {
		if code < 100 || code > 999 {
			t.Skip("no HTTP status")
		}
		client := httpclient.Over(canned{code, kind, body}, address, true, func() time.Time { return moment })
		s, err := newSource("metrics", time.Second, client)
		if err != nil {
			t.Fatal(err)
		}
		answers := s.Ask(t.Context(), d.Questions(), moment)
		for _, a := range answers {
			checkAnswer(t, a)
		}
		for _, r := range d.Judge(answers, nil, moment) {
			if r.Condition != signalbox.Unknown && (!r.HasValue || r.SampleAt.IsZero() || moment.Sub(r.SampleAt) > leastMaxAge) {
				t.Errorf("known from nothing: %+v", r)
			}
		}
	})
}

func checkAnswer(t *testing.T, a signalbox.Answer) {
	t.Helper()
	if a.Err != nil {
		text := a.Err.Error()
		if a.Samples != nil || len(text) > maxText+100 || strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("error %q with %d samples", text, len(a.Samples))
		}
		return
	}
	for _, s := range a.Samples {
		if s.At.Sub(moment).Abs() > skew {
			t.Errorf("a sample of %s was taken for %s", s.At, moment)
		}
	}
}
