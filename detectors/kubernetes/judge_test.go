package kubernetes

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
)

// aSource is a source without watches; its clock is now's.
func aSource(t testing.TB, namespaces ...string) *Source {
	t.Helper()
	s := cluster.New()
	s.InCluster, s.Namespaces = true, namespaces
	src, err := open("cluster", s, kind.Env{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func build(t testing.TB, src *Source, d *DetectorSettings, change ...func(*kind.Common)) *detector {
	t.Helper()
	d.Validate(func(path, rule string, value any) { t.Fatalf("%s %s, got %v", path, rule, value) })
	c := kind.Common{Name: "pods", Source: "cluster", Subject: subject(t, d), Interval: time.Second, Owner: "core"}
	for _, f := range change {
		f(&c)
	}
	det, _, err := d.Build(c, src)
	if err != nil {
		t.Fatal(err)
	}
	return det.(*detector)
}

// answered is what the source answers to what was seen of count objects, some
// of which are ill.
func answered(d *detector, seen time.Time, count int, ill ...map[string]string) []signalbox.Answer {
	a := signalbox.Answer{Question: d.question, At: now, Samples: []signalbox.Sample{{Labels: map[string]string{labelWhat: whatScope}, Value: float64(count), At: seen}}}
	for _, l := range ill {
		a.Samples = append(a.Samples, signalbox.Sample{Labels: l, Value: 1, At: seen})
	}
	return []signalbox.Answer{a}
}

// held makes the samples of an answer, but the first, say that it is not well yet.
func held(answers []signalbox.Answer) []signalbox.Answer {
	for i := range answers[0].Samples[1:] {
		answers[0].Samples[i+1].Value = 0
	}
	return answers
}

func illPod(workload, object, reason string) map[string]string {
	return map[string]string{
		labelNamespace: "core", labelWorkload: workload, labelKind: "Deployment", labelReason: reason, labelObject: object,
		labelContainer: "app", labelNode: "n1", labelSince: "2026-03-01T11:59:00Z",
	}
}

// conditionsText is "subject condition (why)" a reading.
func conditionsText(readings []signalbox.Reading) string {
	var out []string
	for _, r := range readings {
		text := r.Subject + " " + r.Condition.String()
		if r.Reason != "" {
			text += " (" + r.Reason + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

func TestJudge(t *testing.T) {
	d := build(t, aSource(t), &DetectorSettings{Pods: &Scope{}})
	two := build(t, aSource(t), &DetectorSettings{Pods: &Scope{}, Breach: Breach{AtLeast: 2}})
	api := signalbox.Reading{Series: "core/Deployment/api", Subject: "core/api", Condition: signalbox.Breached, Labels: map[string]string{"namespace": "core"}}
	was := map[string]signalbox.Reading{api.Series: api}
	crash := illPod("api", "api-0", crashLoop)
	noNamespace := illPod("api", "api-0", crashLoop)
	delete(noNamespace, labelNamespace)
	cases := []struct {
		name    string
		d       *detector
		answers []signalbox.Answer
		was     map[string]signalbox.Reading
		want    string
	}{
		{"all is well", d, answered(d, now, 9), nil, ""},
		{"ill", d, answered(d, now, 9, crash), nil, "core/api breached"},
		{"two workloads", d, answered(d, now, 9, crash, illPod("web", "web-0", imagePull)), nil, "core/api breached; core/web breached"},
		{"well again", d, answered(d, now, 9), was, "core/api clear"},
		{"still ill", d, answered(d, now, 9, crash), was, "core/api breached"},
		{"not well yet", d, held(answered(d, now, 9, crash)), was, "core/api breached"},
		{"never was ill", d, held(answered(d, now, 9, crash)), nil, ""},
		{"was well", d, held(answered(d, now, 9, crash)), map[string]signalbox.Reading{api.Series: {Series: api.Series, Subject: "core/api", Condition: signalbox.Clear}}, "core/api clear"},
		{"one of two that are needed", two, answered(two, now, 9, crash), nil, "core/api clear"},
		{"two of two", two, answered(two, now, 9, crash, illPod("api", "api-1", notReady)), nil, "core/api breached"},
		{"nothing is there", d, answered(d, now, 0), was, "pods unknown (0 pods are there, and at least 1 are expected); core/api unknown (0 pods are there, and at least 1 are expected)"},
		{"old", d, answered(d, now.Add(-time.Minute), 9), was, "pods unknown (what is known is 1m0s old, and at most 45s is fresh); core/api unknown (what is known is 1m0s old, and at most 45s is fresh)"},
		{"an error", d, []signalbox.Answer{{Err: errors.New("x")}}, was, "pods unknown (x); core/api unknown (x)"},
		{"a warning", d, []signalbox.Answer{{Warnings: []string{"x"}}}, nil, "pods unknown (the answer may be partial: x)"},
		{"no answer", d, nil, was, "pods unknown (0 answers came to 1 question); core/api unknown (0 answers came to 1 question)"},
		{"an answer without its scope", d, []signalbox.Answer{{Samples: []signalbox.Sample{{Labels: crash}}}}, nil, "pods unknown (the answer doesn't say of what it is)"},
		{"an empty answer", d, []signalbox.Answer{{}}, was, "pods unknown (the answer doesn't say of what it is); core/api unknown (the answer doesn't say of what it is)"},
		{"a label of the subject is missing", d, answered(d, now, 9, noNamespace), nil, "/api unknown (the label namespace, which its subject is made of, is missing or empty)"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := conditionsText(c.d.Judge(c.answers, c.was, now)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestReading(t *testing.T) {
	d := build(t, aSource(t), &DetectorSettings{Pods: &Scope{}}, func(c *kind.Common) { c.Labels = []string{"namespace", "workload", "reason"} })
	seen := now.Add(-3 * time.Second)
	ill := []map[string]string{illPod("api", "api-0", crashLoop)}
	for i := range 7 {
		ill = append(ill, illPod("api", fmt.Sprint("api-", i+1), notReady))
	}
	got := d.Judge(answered(d, seen, 9, ill...), nil, now)
	if len(got) != 1 {
		t.Fatalf("got %d readings of one workload", len(got))
	}
	r := got[0]
	want := "core/api: CrashLoopBackOff (container app) since 2026-03-01T11:59:00Z: api-0, api-1 (NotReady), api-2 (NotReady), api-3 (NotReady), api-4 (NotReady) and 3 more"
	if r.Summary != want || r.Value != 8 || !r.SampleAt.Equal(seen) || !r.At.Equal(now) || !r.Confirmed || r.Owner != "core" || r.Origin != "kubernetes:cluster" {
		t.Errorf("got %+v, want the summary %q", r, want)
	}
	if text := fmt.Sprint(r.Labels); text != "map[namespace:core reason:CrashLoopBackOff workload:api]" {
		t.Errorf("labels %s", text)
	}
	r = d.Judge(answered(d, seen, 9), map[string]signalbox.Reading{r.Series: r}, now)[0]
	if r.Condition != signalbox.Clear || !r.SampleAt.Equal(seen) || r.EndedAt.IsZero() || r.Subject != "core/api" {
		t.Errorf("got %+v", r)
	}
}
