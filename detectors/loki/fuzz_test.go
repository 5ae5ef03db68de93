package loki

import (
	"net/http"
	"strings"
	"testing"
	"unicode"

	signalbox "github.com/signalbox/signalbox"
)

// Whatever a server says, an answer is either an error, in one bounded line, or
// samples of what was asked about; and a reading of it is Clear only where
// presence is proved, and Breached only by ids that are whole.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "application/json", []byte(vectorText), []byte(streams(`["`+at(1)+`","`+failed(1)+`"]`)))
	f.Add(200, "application/json", []byte(vectorText), []byte(streams(`["`+at(1)+`","x",{}],["`+at(2)+`","y"]`)))
	f.Add(200, "application/json", []byte(`{"status":"success","data":{"resultType":"vector","result":[null,{"metric":null,"value":null}]}}`), []byte(streams(`[],null,["1"]`)))
	f.Add(200, "application/json", []byte(`{"status":"success","data":{"resultType":"scalar","result":[1e99,"1"]}}`), []byte(`{"status":"success","data":{"resultType":"streams","result":[null]}}`))
	f.Add(400, "text/plain", []byte("parse error\nat"), []byte("\x00\u202e"))
	f.Add(502, "text/html", []byte("<html>"), []byte("<html>"))
	stream, _ := build(f, logSettings(f), "psp/{{env}}")
	value, _ := build(f, rateSettings(f), "psp/{{env}}")
	f.Fuzz(func(t *testing.T, code int, kind string, values, lines []byte) {
		if code < 100 || code > 999 {
			t.Skip("no HTTP status")
		}
		s := sourceOver(func(r *http.Request) (*http.Response, error) {
			body := values
			if strings.HasSuffix(r.URL.Path, rangePath) {
				body = lines
			}
			return says(code, kind, string(body))(r)
		})
		for _, d := range []signalbox.Detector{stream, value} {
			answers := s.Ask(t.Context(), d.Questions(), moment)
			for _, a := range answers {
				checkAnswer(t, a)
			}
			proved := answers[1].Err == nil && len(answers[1].Samples) > 0
			for _, r := range d.Judge(answers, nil, moment) {
				if r.Condition == signalbox.Clear && !proved || r.Condition == signalbox.Breached && (!r.HasValue || d == stream && len(r.Items) == 0) {
					t.Errorf("known from nothing: %+v", r)
				}
			}
		}
	})
}

func checkAnswer(t *testing.T, a signalbox.Answer) {
	t.Helper()
	if a.Err != nil {
		text := a.Err.Error()
		if a.Samples != nil || len(text) > 2*maxText || strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("error %q with %d samples", text, len(a.Samples))
		}
		return
	}
	for _, s := range a.Samples {
		stream := strings.HasPrefix(a.Question.Query, streamPrefix)
		if stream && !s.At.Before(moment) || !stream && s.At.Sub(moment).Abs() > skew {
			t.Errorf("a sample of %s was taken for %s", s.At, moment)
		}
	}
}
