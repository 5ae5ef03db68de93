package telling

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// errAddress is the rule of an address in which something is filled in: its host
// is plainly there, so that no value chooses where it leads.
var errAddress = errors.New("must be an http or https address without spaces, <, > and |, whose host is followed by / before anything is filled in")

// ParseLink reads the template of an address of at most most bytes, in which only
// the labels listed may be named. Its values are to be escaped for a query when it
// is expanded. Its error is a rule ("must be …"), and does not hold the address:
// that may hold a credential.
func ParseLink(text string, labels []string, most int) (Template, error) {
	if len(text) > most {
		return Template{}, fmt.Errorf("must have at most %d bytes", most)
	}
	head, _, _ := strings.Cut(text, "{{")
	u, err := url.Parse(head)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || head != text && u.Path == "" ||
		strings.ContainsAny(text, "<>|\t\r\n") || strings.Contains(strings.ReplaceAll(strings.ReplaceAll(text, "{{ ", "{{"), " }}", "}}"), " ") {
		return Template{}, errAddress
	}
	return Parse(text, labels)
}

// Labels are the labels that a text names as {{labels.NAME}}, each once.
func Labels(text string) (names []string) {
	seen := map[string]bool{}
	for rest := text; ; {
		_, after, found := strings.Cut(rest, "{{")
		if !found {
			return names
		}
		name, tail, closed := strings.Cut(after, "}}")
		if !closed {
			return names
		}
		if label, ok := strings.CutPrefix(strings.TrimSpace(name), labelPrefix); ok && !seen[label] && CheckLabels([]string{label}) == "" {
			seen[label] = true
			names = append(names, label)
		}
		rest = tail
	}
}
