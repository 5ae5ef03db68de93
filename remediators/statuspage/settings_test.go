package statuspage

import (
	"slices"
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Page)
		want   string
	}{
		"as it is":         {func(*Page) {}, ""},
		"no components":    {func(p *Page) { p.Components = nil }, ""},
		"a page's address": {func(p *Page) { p.PageID = "../x" }, "page_id: must be the page's id"},
		"no key":           {func(p *Page) { p.TokenFile = "" }, "token_file: must name"},
		"plain http":       {func(p *Page) { p.URL = "http://statuspage.example/v1" }, "url: must be https"},
		"a component's id": {func(p *Page) { p.Components["x"] = "a/b" }, "components.x: must be a component's id"},
		"an id twice":      {func(p *Page) { p.Components["x"] = payouts }, "components.x: must be a component's id"},
		"operational":      {func(p *Page) { p.ComponentStatus = "operational" }, "component_status: must be one of"},
		"an impact":        {func(p *Page) { p.Impact = "maintenance" }, "impact: must be one of"},
		"an approval":      {func(p *Page) { p.Approval = "" }, "approval: must be one of"},
		"labels":           {func(p *Page) { p.Labels = []string{"a b"} }, "labels: must list"},
		"a long name":      {func(p *Page) { p.Name = strings.Repeat("ä", 256) }, "name: must have 1 to 255"},
		"no message":       {func(p *Page) { p.Message = "" }, "message: must have 1 to 5000"},
		"an unknown name":  {func(p *Page) { p.Messages.Monitoring = "{{value}}" }, "messages.monitoring: names"},
		"another label":    {func(p *Page) { p.ResolvedMessage = "{{labels.x}}" }, "resolved_message: names the label"},
	} {
		p := settings("")
		c.change(p)
		var got []string
		p.Validate(func(path, rule string, _ any) { got = append(got, path+": "+rule) })
		text := strings.Join(got, "\n")
		if (c.want == "") != (text == "") || !strings.Contains(text, c.want) {
			t.Errorf("%s: got %q", name, text)
		}
	}
}

// A step can ask for the moves that have a text.
func TestMoves(t *testing.T) {
	p := settings("")
	if got := moves(p); !slices.Equal(got, []string{"investigating", "identified", "monitoring"}) {
		t.Errorf("got %q", got)
	}
	p.Messages = Messages{Monitoring: "x"}
	if got := moves(p); !slices.Equal(got, []string{"investigating", "monitoring"}) {
		t.Errorf("got %q", got)
	}
}
