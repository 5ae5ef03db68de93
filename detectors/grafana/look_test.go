package grafana

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/kind"
	standin "github.com/signalbox/signalbox/test/standin/grafana"
)

func TestLook(t *testing.T) {
	h := newHouse(t)
	note := func(ago time.Duration, dashboard, text string, tags ...string) {
		at := moment.Add(-ago)
		h.AddAnnotation(standin.Annotation{Dashboard: dashboard, Start: at, End: at, Tags: tags, Text: text})
	}
	note(2*time.Hour, "", "old", "deploy", "service:core")
	note(10*time.Minute, "db-prod", "v1.2 by <b>somebody</b>", "deploy", "service:core")
	note(5*time.Minute, "", "v7", "deploy", "service:web")
	note(time.Minute, "", "other", "maintenance")
	for name, c := range map[string]struct {
		settings LookSettings
		same     map[string]string
		want     string
	}{
		"tags only":     {LookSettings{Tags: []string{"deploy"}}, nil, "deploy service:web, deploy service:core"},
		"of one label":  {LookSettings{Tags: []string{"deploy"}}, map[string]string{"service": "core"}, "deploy service:core"},
		"with its text": {LookSettings{Tags: []string{"deploy"}, Text: true}, map[string]string{"service": "core"}, "deploy service:core: v1.2 by <b>somebody</b>"},
		"none":          {LookSettings{Tags: []string{"deploy"}}, map[string]string{"service": "co"}, ""},
	} {
		c.settings.Validate(func(path, rule string, value any) { t.Errorf("%s: %s, got %v", path, rule, value) })
		view, err := c.settings.Build("deploys", h.source)
		if err != nil {
			t.Fatal(err)
		}
		found, err := view.Look(t.Context(), kind.Around{Same: c.same, From: moment.Add(-time.Hour), To: moment, Most: 5})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range found {
			got = append(got, f.Text)
			if strings.Contains(f.Text, "core") && (f.Link == nil || !strings.HasSuffix(f.Link.Href, "/d/db-prod")) {
				t.Errorf("%s: link %v", name, f.Link)
			}
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: got %s", name, strings.Join(got, ", "))
		}
	}
	var broken []string
	(&LookSettings{Tags: []string{"a", "a", ""}}).Validate(func(path, _ string, _ any) { broken = append(broken, path) })
	if fmt.Sprint(broken) != "[annotations[1] annotations[2]]" {
		t.Errorf("got %v", broken)
	}
}
