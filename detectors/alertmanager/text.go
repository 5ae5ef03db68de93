package alertmanager

import (
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// plain makes text from outside fit for logs, terminals and pages: control and
// format characters (line breaks, escapes, bidirectional overrides) become
// spaces, and what is longer than most bytes is cut at a character.
func plain(s string, most int) string {
	if len(s) > 4*most { // no need to look at what is cut anyway
		s = s[:4*most]
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= most {
		return s
	}
	cut := most - len("…")
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// quote shows a value from outside in an error.
func quote(s string) string { return strconv.Quote(plain(s, 80)) }

// webLink returns s if a person can safely follow it: an absolute http or
// https URL without a credential.
func webLink(s string) string {
	const most = 2048
	if s == "" || len(s) > most {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return u.String()
}
