package loki

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/threshold"
	"github.com/signalbox/signalbox/internal/kind"
)

func sample(value float64, labels ...string) signalbox.Sample {
	s := signalbox.Sample{Value: value, At: moment, Labels: map[string]string{}}
	for i := 0; i+1 < len(labels); i += 2 {
		s.Labels[labels[i]] = labels[i+1]
	}
	return s
}

func gave(samples ...signalbox.Sample) signalbox.Answer {
	return signalbox.Answer{At: moment, Samples: samples}
}

var (
	broken    = signalbox.Answer{Err: errors.New("oops")}
	partially = signalbox.Answer{Warnings: []string{"a shard is away"}, Samples: []signalbox.Sample{sample(9, "env", "eu")}}
)

// knew makes what was known out of readings.
func knew(rs ...signalbox.Reading) map[string]signalbox.Reading {
	was := map[string]signalbox.Reading{}
	for _, r := range rs {
		was[r.Series] = r
	}
	return was
}

func TestJudgeValue(t *testing.T) {
	eu := signalbox.Reading{Series: kind.SeriesID(map[string]string{"env": "eu"}), Subject: "psp/eu", Labels: map[string]string{"env": "eu"}, Condition: signalbox.Breached, SampleAt: moment.Add(-time.Minute)}
	here, elsewhere, none := gave(sample(7, "env", "eu")), gave(sample(7, "env", "us")), gave()
	below := func(d *DetectorSettings) { d.Breach = threshold.Side{Below: quantity(t, "5")} }
	for _, c := range []struct {
		name            string
		with            func(*DetectorSettings)
		value, presence signalbox.Answer
		was             map[string]signalbox.Reading
		want            string
	}{
		{"breached", nil, gave(sample(6, "env", "eu")), here, nil, "psp/eu breached 6"},
		{"breached, and presence is not proved", nil, gave(sample(6, "env", "eu")), none, nil, "psp/eu breached 6"},
		{"clear", nil, gave(sample(5, "env", "eu")), here, nil, "psp/eu clear 5"},
		{"clear is not believed where presence is not proved", nil, gave(sample(5, "env", "eu")), none, nil, "psp/eu unknown"},
		{"… or of others", nil, gave(sample(5, "env", "eu")), elsewhere, nil, "psp/eu unknown"},
		{"… or not known", nil, gave(sample(5, "env", "eu")), broken, nil, "psp/eu unknown"},
		{"without presence a value is a value", func(d *DetectorSettings) { d.Presence = "" }, gave(sample(5, "env", "eu")), none, nil, "psp/eu clear 5"},
		{"too few", below, gave(sample(4, "env", "eu")), here, nil, "psp/eu breached 4"},
		{"too few, and perhaps only missing", below, gave(sample(4, "env", "eu")), none, nil, "psp/eu unknown"},
		{"gone, and proved", nil, none, here, knew(eu), "psp/eu clear"},
		{"gone, and others proved", nil, none, elsewhere, knew(eu), "psp/eu unknown"},
		{"gone, and nothing proved", nil, none, gave(sample(0, "env", "eu"), sample(math.NaN()), sample(math.Inf(1))), knew(eu), "failures unknown, psp/eu unknown"},
		{"nothing, of nothing known", nil, none, none, nil, "failures unknown"},
		{"nothing, and proved", nil, none, here, nil, ""},
		{"error", nil, broken, here, knew(eu), "failures unknown, psp/eu unknown"},
		{"partial", nil, partially, here, knew(eu), "failures unknown, psp/eu unknown"},
		{"NaN", nil, gave(sample(math.NaN(), "env", "eu")), here, nil, "psp/eu unknown"},
		{"infinite", nil, gave(sample(math.Inf(1), "env", "eu")), here, nil, "psp/eu unknown"},
		{"no label for the subject", nil, gave(sample(9)), here, nil, "psp/ unknown"},
		{"the same series twice", nil, gave(sample(9, "env", "eu"), sample(1, "env", "eu")), here, nil, "psp/eu breached 9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := rateSettings(t)
			if c.with != nil {
				c.with(d)
			}
			det, _ := build(t, d, "psp/{{env}}")
			answers := []signalbox.Answer{c.value, c.presence}[:len(det.Questions())]
			got := det.Judge(answers, c.was, moment)
			if words(got) != c.want {
				t.Errorf("got %q, want %q: %+v", words(got), c.want, got)
			}
			for _, r := range got {
				if (r.Condition == signalbox.Unknown) != (r.Reason != "") || r.Condition != signalbox.Unknown && r.SampleAt.IsZero() || !r.Confirmed || !r.At.Equal(moment) {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

func TestWrongNumberOfAnswers(t *testing.T) {
	for _, d := range []*DetectorSettings{rateSettings(t), logSettings(t)} {
		det, _ := build(t, d, "psp")
		if got := words(det.Judge([]signalbox.Answer{{}}, nil, moment)); got != "failures unknown" {
			t.Errorf("got %s", got)
		}
	}
}

// lineOf is a line that came some seconds before the moment.
func lineOf(before time.Duration, text string, labels ...string) signalbox.Sample {
	s := sample(0, labels...)
	s.At, s.Text = moment.Add(-before), text
	return s
}

func TestJudgeLines(t *testing.T) {
	eu := []string{"env", "eu", "pod", "a"}
	us := []string{"env", "us", "pod", "b"}
	proof, none := gave(sample(7)), gave()
	known := signalbox.Reading{Series: kind.SeriesID(map[string]string{"env": "eu"}), Subject: "psp/eu", Labels: map[string]string{"env": "eu"}, Condition: signalbox.Breached, Items: []string{event(1)}}
	ids := func(before time.Duration, labels []string, ids ...int) (lines []signalbox.Sample) {
		for _, id := range ids {
			lines = append(lines, lineOf(before, failed(id), labels...))
		}
		return lines
	}
	for _, c := range []struct {
		name     string
		above    string
		lines    signalbox.Answer
		presence signalbox.Answer
		was      map[string]signalbox.Reading
		want     string
		items    string // of psp/eu
	}{
		{"too many", "1", gave(ids(time.Second, eu, 1, 2)...), proof, nil, "psp/eu breached 2", "1 2"},
		{"of each series", "1", gave(append(ids(time.Second, eu, 1, 2), ids(time.Second, us, 3)...)...), proof, nil, "psp/eu breached 2, psp/us clear 1", "1 2"},
		{"the same id again and again", "1", gave(ids(time.Second, eu, 1, 1, 1)...), proof, nil, "psp/eu clear 1", ""},
		{"too many, but not within the window", "1", gave(append(ids(6*time.Minute, eu, 1), ids(time.Minute, eu, 2)...)...), proof, nil, "psp/eu clear 1", ""},
		{"the window's begin is not in it", "1", gave(append(ids(5*time.Minute, eu, 1), ids(0, eu, 2)...)...), proof, nil, "psp/eu clear 1", ""},
		{"more come, in their order behind those told", "0", gave(ids(time.Second, eu, 3, 1, 2)...), proof, knew(known), "psp/eu breached 3", "1 3 2"},
		{"few, and what was told is among them", "2", gave(ids(time.Second, eu, 1, 2)...), proof, knew(known), "psp/eu breached 2", "1"},
		{"few, and what was told is not", "2", gave(ids(time.Second, eu, 2, 3)...), proof, knew(known), "psp/eu clear 2", "1"},
		{"none, proved", "0", none, proof, knew(known), "psp/eu clear", ""},
		{"none, not proved", "0", none, none, knew(known), "failures unknown, psp/eu unknown", "1"},
		{"too many, not proved", "0", gave(ids(time.Second, eu, 1)...), none, nil, "psp/eu breached 1", "1"},
		{"few, not proved", "1", gave(ids(time.Second, eu, 1)...), none, nil, "psp/eu unknown", ""},
		{"a line without an id", "0", gave(lineOf(time.Second, "webhook failed", eu...)), proof, nil, "psp/eu unknown", ""},
		{"… that changes nothing", "1", gave(lineOf(time.Second, "webhook failed", eu...)), proof, nil, "psp/eu clear 0", ""},
		{"… of which there was time to tell", "0", gave(lineOf(7*time.Minute, "webhook failed", eu...)), proof, nil, "psp/eu clear 0", ""},
		{"no label for the subject", "0", gave(lineOf(time.Second, failed(1), "pod", "a")), proof, nil, "psp/ unknown", ""},
		{"error", "0", broken, proof, knew(known), "failures unknown, psp/eu unknown", "1"},
		{"partial: a breach is one", "0", signalbox.Answer{Warnings: []string{"w"}, Samples: ids(time.Second, eu, 2)}, proof, knew(known), "failures unknown, psp/eu breached 1", "1 2"},
		{"partial: health is not", "1", signalbox.Answer{Warnings: []string{"w"}, Samples: ids(time.Second, eu, 2)}, proof, knew(known), "failures unknown, psp/eu unknown", "1"},
		{"partial: nor of those that are not there", "1", signalbox.Answer{Warnings: []string{"w"}}, proof, knew(known), "failures unknown, psp/eu unknown", "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := logSettings(t)
			d.Breach.Above = quantity(t, c.above)
			det, _ := build(t, d, "psp/{{env}}")
			got := det.Judge([]signalbox.Answer{c.lines, c.presence}, c.was, moment)
			if words(got) != c.want {
				t.Errorf("got %q, want %q: %+v", words(got), c.want, got)
			}
			for _, r := range got {
				if (r.Condition == signalbox.Unknown) != (r.Reason != "") || r.Condition != signalbox.Unknown && r.SampleAt.IsZero() {
					t.Errorf("%+v", r)
				}
				if r.Subject == "psp/eu" && strings.NewReplacer("evt_0000000", "").Replace(strings.Join(r.Items, " ")) != c.items {
					t.Errorf("items %v, want %s", r.Items, c.items)
				}
				if strings.Contains(r.Summary, "webhook") {
					t.Errorf("the summary holds a line: %s", r.Summary)
				}
			}
		})
	}
}

func TestLinesAreCounted(t *testing.T) {
	d := logSettings(t)
	d.Logs.Pattern, d.Logs.IDs, d.Breach.Above = "", nil, quantity(t, "2")
	det, _ := build(t, d, "psp")
	answers := []signalbox.Answer{gave(), gave(sample(1))}
	if got := words(det.Judge(answers, nil, moment)); got != "psp clear 0" {
		t.Errorf("none: %s", got)
	}
	for i := range 3 {
		answers[0].Samples = append(answers[0].Samples, lineOf(time.Minute-time.Duration(i)*time.Second, "x"))
	}
	rs := det.Judge(answers, nil, moment)
	if got := words(rs); got != "psp breached 3" || rs[0].Items != nil || rs[0].Summary != "psp: 3 lines within 5m, above 2" {
		t.Errorf("three: %s, %+v", got, rs)
	}
}

// What labels hold comes from outside: it is bounded, plain, and can't make
// series without end.
func TestLabelsFromOutside(t *testing.T) {
	det, _ := build(t, logSettings(t), "psp/{{env}}")
	nasty := lineOf(time.Second, failed(1), "env", "a\x1b[31m\n"+strings.Repeat("b", 999))
	rs := det.Judge([]signalbox.Answer{gave(nasty), gave(sample(1))}, nil, moment)
	if len(rs) != 1 || rs[0].Condition != signalbox.Breached || len(rs[0].Subject) > 300 || strings.ContainsAny(rs[0].Subject, "\x1b\n") {
		t.Errorf("%+v", rs)
	}
	var lines []signalbox.Sample
	for i := range maxGroups + 1 {
		lines = append(lines, lineOf(time.Second, failed(i), "env", fmt.Sprint(i)))
	}
	rs = det.Judge([]signalbox.Answer{gave(lines...), gave(sample(1))}, nil, moment)
	if len(rs) != 1 || !strings.Contains(rs[0].Reason, "more than 1000 sets of values of the labels [env]") {
		t.Errorf("%d readings, %+v", len(rs), rs[0])
	}
}

// The largest reading that the settings allow fits into a record of the store.
func TestTheLargestReadingFits(t *testing.T) {
	d := logSettings(t)
	d.Logs.MaxIDs, d.Logs.MaxLines, d.Logs.Pattern, d.Logs.IDs = mostIDs, mostLines, `id=(?P<id>\S+)`, []string{"id"}
	det, _ := build(t, d, "psp/{{env}}")
	var lines []signalbox.Sample
	for i := range mostIDs + 10 {
		lines = append(lines, lineOf(time.Second, fmt.Sprintf("id=%0128d", i), "env", strings.Repeat("e", maxLabel)))
	}
	r := det.Judge([]signalbox.Answer{gave(lines...), gave(sample(1))}, nil, moment)[0]
	size := len(r.Subject) + len(r.Summary) + len(r.Items)*(maxID+len(`"",`))
	if len(r.Items) != mostIDs || r.Unlisted != 10 || size > 200<<10 || !strings.Contains(r.Summary, "10 more are not listed") {
		t.Errorf("%d items, about %d bytes, %s", len(r.Items), size, r.Summary)
	}
}

func TestQuestionsSince(t *testing.T) {
	det, _ := build(t, logSettings(t), "psp")
	f := det.(signalbox.Follower)
	first, later := f.QuestionsSince(time.Time{}), f.QuestionsSince(moment.In(time.FixedZone("CET", 3600)))
	if !first[0].From.IsZero() || !later[0].From.Equal(moment.Add(-6*time.Minute)) || later[0].From.Location() != time.UTC {
		t.Errorf("%+v, %+v", first, later)
	}
	if first[1] != later[1] || first[1].Query != presenceQuery || first[0].Query != later[0].Query {
		t.Errorf("%+v, %+v: equal questions are asked once", first, later)
	}
	q, err := parseQuestion(first[0].Query)
	if want := (question{query: linesQuery, back: 6 * time.Minute, reach: 6 * time.Hour, lines: 10_000}); err != nil || q != want {
		t.Errorf("%+v, %v", q, err)
	}
	for _, text := range []string{"", "lines?", "lines?%", "lines?query=x&back=0s&reach=1s&lines=1", "lines?query=x&back=2s&reach=1s&lines=1", "lines?query=x&back=1s&reach=1s&lines=x"} {
		if _, err := parseQuestion(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
	if _, ok := any(&detector{}).(signalbox.Follower); ok {
		t.Error("a value is no stream")
	}
	var _ kind.DetectorSettings = &DetectorSettings{}
}
