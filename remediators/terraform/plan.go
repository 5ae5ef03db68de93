package terraform

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/signalbox/signalbox/internal/reach"
)

// plan is what is read of a plan: Terraform's JSON output, whole or redacted.
type plan struct {
	Format    string            `json:"format_version"`
	Redacted  string            `json:"plan_format_version"`
	Errored   bool              `json:"errored"`
	Changes   []resourceChange  `json:"resource_changes"`
	Deferred  []json.RawMessage `json:"deferred_changes"`
	Invocates []json.RawMessage `json:"action_invocations"`
}

type resourceChange struct {
	Address string `json:"address"`
	Change  struct {
		Actions   []string        `json:"actions"`
		Importing json.RawMessage `json:"importing"`
	} `json:"change"`
}

func parsePlan(raw []byte) (plan, error) {
	var p plan
	if err := json.Unmarshal(raw, &p); err != nil {
		return plan{}, errors.New("the plan is not the JSON that was asked for")
	}
	version := p.Format
	if version == "" {
		version = p.Redacted
	}
	if major, _, _ := strings.Cut(version, "."); major != "1" {
		return plan{}, fmt.Errorf("the plan's format %q is not known", reach.Shown(version))
	}
	return p, nil
}

// mostNamed bounds the resources that an objection names.
const mostNamed = 3

// objection says why a plan must not be applied; empty: it may.
func (s spec) objection(p plan, counts planCounts) string {
	var beyond, destroyed []string
	seen := 0
	for _, c := range p.Changes {
		if c.idle() {
			continue
		}
		seen++
		if !s.lists(c.Address) {
			beyond = append(beyond, reach.Shown(c.Address))
		}
		if slices.Contains(c.Change.Actions, "delete") || slices.Contains(c.Change.Actions, "forget") {
			destroyed = append(destroyed, reach.Shown(c.Address))
		}
	}
	n := counts.Attributes
	switch {
	case p.Errored:
		return "the plan is incomplete: it ended with an error"
	case len(beyond) > 0:
		return "the plan touches what only_resources does not list: " + few(beyond)
	case len(destroyed) > 0 && !s.AllowDestroy:
		return "the plan destroys or replaces, which allow_destroy does not allow: " + few(destroyed)
	case len(p.Invocates) > 0:
		return "the plan invokes actions, which are not allowed"
	case len(p.Deferred) > 0:
		return "the plan defers changes, which can't be checked"
	case seen < max(max(n.Additions, n.Destructions)+n.Changes, n.Imports):
		return fmt.Sprintf("the plan counts more changes (%d added, %d changed, %d destroyed, %d imported) than the %d that it lists", n.Additions, n.Changes, n.Destructions, n.Imports, seen)
	}
	return ""
}

// idle reports what a plan lists though it does nothing with it.
func (c resourceChange) idle() bool {
	if len(c.Change.Importing) > 0 && string(c.Change.Importing) != "null" {
		return false
	}
	for _, action := range c.Change.Actions {
		if action != "no-op" && action != "read" {
			return false
		}
	}
	return len(c.Change.Actions) > 0
}

// lists reports whether an address matches one of only_resources. With none
// everything does: a person confirms the plan.
func (s spec) lists(address string) bool {
	if len(s.OnlyResources) == 0 {
		return true
	}
	return slices.ContainsFunc(s.OnlyResources, func(p string) bool { return matches(p, address) })
}

// matches holds an address to a pattern in which * stands for any text.
func matches(pattern, address string) bool {
	text := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`)
	re, err := regexp.Compile(`(?s)^` + text + `$`)
	return err == nil && re.MatchString(address)
}

func few(addresses []string) string {
	if len(addresses) <= mostNamed {
		return strings.Join(addresses, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(addresses[:mostNamed], ", "), len(addresses)-mostNamed)
}
