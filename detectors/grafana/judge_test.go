package grafana

import (
	"errors"
	"testing"

	signalbox "github.com/signalbox/signalbox"
)

// The detector is pure: what it can't believe is Unknown for all that it knew,
// and for itself.
func TestJudgeUnbelievable(t *testing.T) {
	h := newHouse(t)
	d := h.detector(lagKeys)
	told := about{Link: signalbox.Link{Text: "x", Href: "http://g/d/u"}}.sample(moment)
	known := map[string]signalbox.Reading{"s1": {Series: "s1", Subject: "db/eu", Condition: signalbox.Breached}, "": {Subject: "replication-lag"}}
	for name, c := range map[string]struct {
		answers []signalbox.Answer
		want    string
	}{
		"no answer":        {nil, "0 answers came to 1 question"},
		"an error":         {[]signalbox.Answer{{Err: errors.New("boom")}}, "boom"},
		"nothing at all":   {[]signalbox.Answer{{}}, "the answer says nothing of its panel"},
		"another's answer": {[]signalbox.Answer{{Samples: []signalbox.Sample{{Value: 1, At: moment}}}}, "the answer says nothing of its panel"},
		"empty":            {[]signalbox.Answer{{Samples: []signalbox.Sample{told}}}, "the panel's query has an empty answer"},
		"partial":          {[]signalbox.Answer{{Samples: []signalbox.Sample{told, {At: moment}}, Warnings: []string{"b is gone"}}}, "the answer may be partial: b is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, says(d.Judge(c.answers, known, moment)), "unknown: db/eu: unknown, "+c.want, "unknown: replication-lag: unknown, "+c.want)
		})
	}
}
