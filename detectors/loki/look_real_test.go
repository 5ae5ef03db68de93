package loki

import (
	"fmt"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/test/servers"
)

// Lines are told by their listed fields, and by nothing else of them.
func TestRealLook(t *testing.T) {
	t.Parallel()
	l := servers.Loki(t, servers.LokiOptions{})
	s := connect(t, l, nil)
	at := now().Add(-time.Hour)
	line := func(ago time.Duration, text string, args ...any) servers.Line {
		return servers.Line{At: at.Add(-ago), Text: fmt.Sprintf(text, args...)}
	}
	const secret = "AKIAIOSFODNN7EXAMPLE"
	hostile := `e"u} | env!="x`
	l.Push("", map[string]string{"app": "core", "env": "prod"},
		line(20*time.Minute, `{"level":"error","flow_id":"old"}`),
		line(3*time.Minute, `{"level":"error","code":"55","flow_id":"f 1","key":"%s","cluster":"eu"}`, secret),
		line(2*time.Minute, `{"level":"error","code":"55","flow_id":"f 1","key":"%s","cluster":"eu"}`, secret),
		line(time.Minute, `{"level":"error","code":"57","cluster":"eu"}`),
		line(50*time.Second, `{"level":"info","code":"0","cluster":"eu"}`),
		line(40*time.Second, `{"level":"error","code":"58","cluster":"us"}`),
		line(30*time.Second, `{"level":"error","code":"59","cluster":"e\"u} | env!=\"x"}`),
		line(20*time.Second, `{"level":"error","password":"%s","cluster":"bare"}`, secret),
	)
	settings := &LookSettings{
		Query:  `{app="core"} | json | level="error" # the newest`,
		Fields: []string{"level", "code", "flow_id"},
		Line:   &LineLink{Text: "trace", Href: "https://traces.example/explore?q=trace.flow_id%3D{{labels.flow_id}}"},
	}
	mustBeGood(t, problems(settings))
	view, err := settings.Build("errors", s)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		same map[string]string
		want []string
	}{
		"one cluster": {map[string]string{"cluster": "eu"}, []string{
			"-1m0s level=error code=57 <>",
			`-2m0s level=error code=55 flow_id="f 1" (2 times) <https://traces.example/explore?q=trace.flow_id%3Df+1>`,
		}},
		"a value that is LogQL": {map[string]string{"cluster": hostile}, []string{"-30s level=error code=59 <>"}},
		"nothing":               {map[string]string{"cluster": "none", "env": "prod"}, nil},
		"fields that no line has": {map[string]string{"cluster": "bare"}, []string{
			"-20s level=error <>",
		}},
	} {
		found, err := view.Look(t.Context(), kind.Around{Same: c.same, From: at.Add(-10 * time.Minute), To: at, Most: 5})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := told(found, at); strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s: got\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
		if text := fmt.Sprintf("%+v", found); strings.Contains(text, secret) {
			t.Errorf("%s: what is not listed is told: %s", name, text)
		}
	}
	settings.Fields, settings.Line = []string{"nothing"}, nil
	if view, err = settings.Build("errors", s); err != nil {
		t.Fatal(err)
	}
	found, err := view.Look(t.Context(), kind.Around{From: at.Add(-10 * time.Minute), To: at, Most: 5})
	if err != nil || len(found) != 1 || found[0].Text != "6 lines, none of which has one of the fields nothing" {
		t.Errorf("got %+v, %v", found, err)
	}
	settings.Query = `{app="core"} | json | level=`
	if view, err = settings.Build("errors", s); err != nil {
		t.Fatal(err)
	}
	if _, err = view.Look(t.Context(), kind.Around{From: at.Add(-time.Minute), To: at, Most: 5}); err == nil || !strings.Contains(err.Error(), "parse error") {
		t.Errorf("a query that Loki refuses: %v", err)
	}
}

func told(found []signalbox.Finding, at time.Time) (list []string) {
	for _, f := range found {
		href := ""
		if f.Link != nil {
			href = f.Link.Href
		}
		list = append(list, fmt.Sprintf("%s %s <%s>", f.At.Sub(at), f.Text, href))
	}
	return list
}

func TestLookSettings(t *testing.T) {
	good := func() *LookSettings { return &LookSettings{Query: `{app="core"}`, Fields: []string{"level"}} }
	for want, change := range map[string]func(*LookSettings){
		"":                           func(*LookSettings) {},
		"query: must begin":          func(s *LookSettings) { s.Query = `sum(x)` },
		"query: must not have a ran": func(s *LookSettings) { s.Query = `{a="b"}[5m]` },
		"fields[1]: must be the":     func(s *LookSettings) { s.Fields = []string{"level", "level"} },
		"fields[0]: must be the":     func(s *LookSettings) { s.Fields = []string{"a b"} },
		"fields: must be at most":    func(s *LookSettings) { s.Fields = strings.Split(strings.Repeat("a,", 20)+"b", ",") },
		"line.href: names the label \"secret\", which `fields` does not list": func(s *LookSettings) { s.Line = &LineLink{Text: "x", Href: "https://x.example/{{labels.secret}}"} },
		"line.href: must be an http":                                          func(s *LookSettings) { s.Line = &LineLink{Text: "x", Href: "https://{{labels.level}}.example/"} },
		"line.text: must be one":                                              func(s *LookSettings) { s.Line = &LineLink{Text: "x\ny", Href: "https://x.example/"} },
	} {
		s := good()
		change(s)
		if got := problems(s); (want == "") != (len(got) == 0) || !strings.Contains(strings.Join(got, "; "), want) {
			t.Errorf("want %q, got %q", want, got)
		}
	}
	if good().Field("cluster") != "" || good().Field(`a"b`) == "" {
		t.Error("fields of same")
	}
}
