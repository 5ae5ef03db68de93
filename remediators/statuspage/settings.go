package statuspage

import (
	"errors"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
	"github.com/signalbox/signalbox/internal/telling"
)

// DefaultURL is where the API is.
const DefaultURL = "https://api.statuspage.io/v1"

// Kind is the line of the table of remediators.
func Kind() kind.Remediator {
	return kind.Remediator{
		Name: "statuspage", Keyword: "statuspage",
		Tools: map[string]kind.Tool{"statuspage": {
			Settings: func() kind.Settings {
				return &Page{ComponentStatus: "degraded_performance", Notify: true, Public: true, Approval: ApprovalRequired}
			},
			Moves: moves, Tells: true, About: true,
		}},
		Spec: resolve, Open: open,
	}
}

// The values of Page.Approval.
const (
	ApprovalRequired = "required"
	ApprovalNone     = "none"
)

// Page is a status page, and what is said on it.
type Page struct {
	// The page's id.
	PageID string `yaml:"page_id" json:"page_id" jsonschema:"required"`
	// File that holds an API key; read at each use.
	TokenFile string `yaml:"token_file" json:"token_file" jsonschema:"required"`
	// Where the API is, if not https://api.statuspage.io/v1. Plain http is for this machine only.
	URL string `yaml:"url,omitempty" json:"url,omitempty" jsonschema:"format=uri"`
	// The components that are affected: ids by name.
	Components map[string]string `yaml:"components,omitempty" json:"components,omitempty"`
	// What the components are set to, where they are not worse already.
	ComponentStatus string `yaml:"component_status,omitempty" json:"component_status" jsonschema:"enum=degraded_performance,enum=partial_outage,enum=major_outage" default:"degraded_performance"`
	// The incident's impact; absent: what the page makes of its components.
	Impact string `yaml:"impact,omitempty" json:"impact,omitempty" jsonschema:"enum=none,enum=minor,enum=major,enum=critical"`
	// The labels of the incident that texts may name, as {{labels.NAME}}.
	Labels []string `yaml:"labels,omitempty" json:"labels,omitempty"`
	// The incident's title, with {{subject}}, {{detector}}, {{owner}}, {{policy}}, {{incident}}, {{opened_at}} and {{labels.NAME}}.
	Name string `yaml:"name" json:"name" jsonschema:"required"`
	// What is said with `to: investigating`.
	Message string `yaml:"message" json:"message" jsonschema:"required"`
	// What is said with `to: identified` and `to: monitoring`; without a text a step can't ask for it.
	Messages Messages `yaml:"messages,omitempty" json:"messages,omitzero"`
	// What is said when the incident is over.
	ResolvedMessage string `yaml:"resolved_message" json:"resolved_message" jsonschema:"required"`
	// Whether the page's subscribers are notified.
	Notify bool `yaml:"notify,omitempty" json:"notify" default:"true"`
	// Whether others than your own people see the page.
	Public bool `yaml:"public,omitempty" json:"public" default:"true"`
	// Whether a person must approve each step on a public page: required, or none.
	Approval string `yaml:"approval,omitempty" json:"approval" jsonschema:"enum=required,enum=none" default:"required"`
}

// Messages are what is said at the later moves.
type Messages struct {
	// With `to: identified`.
	Identified string `yaml:"identified,omitempty" json:"identified,omitempty"`
	// With `to: monitoring`.
	Monitoring string `yaml:"monitoring,omitempty" json:"monitoring,omitempty"`
}

// The statuses of an incident, in the order in which it goes through them.
const (
	investigating = "investigating"
	identified    = "identified"
	monitoring    = "monitoring"
	resolved      = "resolved"
)

var order = []string{investigating, identified, monitoring, resolved}

// degrees are the statuses of a component, from the best. Maintenance is a
// person's word, and stands above ours.
var degrees = []string{"operational", "degraded_performance", "partial_outage", "major_outage", "under_maintenance"}

// text is the message of a move; "": there is none.
func (p *Page) text(move string) string {
	return map[string]string{
		investigating: p.Message, identified: p.Messages.Identified, monitoring: p.Messages.Monitoring, resolved: p.ResolvedMessage,
	}[move]
}

func moves(s kind.Settings) []string {
	p, ok := s.(*Page)
	if !ok {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(order[:3]), func(move string) bool { return p.text(move) == "" && move != investigating })
}

const (
	mostName       = 255 // characters, the vendor's limit
	mostMessage    = 5000
	mostComponents = 50
)

var vendorID = regexp.MustCompile(`^[a-z0-9]{6,32}$`)

// Validate checks the settings.
func (p *Page) Validate(fail kind.Fail) {
	if !vendorID.MatchString(p.PageID) {
		fail("page_id", "must be the page's id, like kctbh9vrtdwd", p.PageID)
	}
	if p.TokenFile == "" {
		fail("token_file", "must name the file that holds the API key", nil)
	}
	if p.URL != "" {
		if err := checkURL(p.URL); err != nil {
			fail("url", err.Error(), "(not shown: it may hold a credential)")
		}
	}
	p.components(fail)
	oneOf := func(path, value string, of ...string) {
		if !slices.Contains(of, value) {
			fail(path, "must be one of "+strings.Join(of, ", "), value)
		}
	}
	oneOf("component_status", p.ComponentStatus, degrees[1:4]...)
	oneOf("approval", p.Approval, ApprovalRequired, ApprovalNone)
	if p.Impact != "" {
		oneOf("impact", p.Impact, "none", "minor", "major", "critical")
	}
	if wrong := telling.CheckLabels(p.Labels); wrong != "" {
		fail("labels", wrong, strings.Join(p.Labels, ", "))
	}
	p.template(fail, "name", p.Name, mostName)
	p.template(fail, "message", p.Message, mostMessage)
	p.template(fail, "resolved_message", p.ResolvedMessage, mostMessage)
	for path, text := range map[string]string{"messages.identified": p.Messages.Identified, "messages.monitoring": p.Messages.Monitoring} {
		if text != "" {
			p.template(fail, path, text, mostMessage)
		}
	}
}

func (p *Page) components(fail kind.Fail) {
	if len(p.Components) > mostComponents {
		fail("components", "must be at most "+strconv.Itoa(mostComponents), len(p.Components))
	}
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(p.Components)) {
		id := p.Components[name]
		if !vendorID.MatchString(id) || seen[id] {
			fail("components."+name, "must be a component's id, like 8kbf7d35c070, each once", id)
		}
		seen[id] = true
	}
}

func (p *Page) template(fail kind.Fail, path, text string, most int) {
	if n := utf8.RuneCountInString(text); n == 0 || n > most {
		fail(path, "must have 1 to "+strconv.Itoa(most)+" characters", n)
	}
	if _, err := telling.Parse(text, p.Labels); err != nil {
		fail(path, err.Error(), text)
	}
}

// checkURL refuses what would show the key. It never repeats the address.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("must be an https URL with a host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must not have a credential, a query or a fragment")
	case u.Scheme == "http" && !reach.Loopback(u.Hostname()):
		return errors.New("must be https: plain http would show the key, and is accepted for this machine only")
	}
	return nil
}
