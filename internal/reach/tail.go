package reach

import (
	"regexp"
	"strings"
)

// mostTail bounds the end of a log, in bytes.
const mostTail = 4 << 10

// Tail is the end of a log as a person may see it: printable, without what looks
// like a secret, bounded; empty: the log is.
func Tail(text string, lines int) string {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return ""
	}
	all := strings.Split(text, "\n")
	all = all[max(0, len(all)-lines):]
	size, from := 0, len(all)
	for from > 0 { // the last lines tell most
		line := Shown(mask(all[from-1]))
		if size += len(line) + 1; size > mostTail {
			break
		}
		from--
		all[from] = line
	}
	return strings.Join(all[from:], "\n")
}

var secrets = []*regexp.Regexp{
	regexp.MustCompile(`(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}`),
	regexp.MustCompile(`(?i)([A-Za-z0-9_.-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|authorization|signature)[A-Za-z0-9_.-]*["']?\s*[:=]\s*)(?:"[^"]*"|'[^']*'|[^\s,;&"']+(?:\s+[A-Za-z0-9._~+/=-]{12,})?)`),
	regexp.MustCompile(`(://[^\s/:@]*:)[^\s/@]+@`),
	regexp.MustCompile(`()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`), // a JWT
	regexp.MustCompile(`()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b`),
	regexp.MustCompile(`()\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{8,}`),
	regexp.MustCompile(`()\bgh[pousr]_[A-Za-z0-9]{20,}`),
	regexp.MustCompile(`()\bxox[abprs]-[A-Za-z0-9-]{8,}`),
}

// mask takes from a line what looks like a secret.
func mask(line string) string {
	for i, s := range secrets {
		to := "${1}…"
		if i == 2 {
			to = "${1}…@"
		}
		line = s.ReplaceAllString(line, to)
	}
	return line
}
