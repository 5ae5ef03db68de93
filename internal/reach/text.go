package reach

import (
	"net/url"
	"strings"
	"unicode"
)

// MaxShown bounds a value in a text for people, in bytes.
const MaxShown = 200

// Shown is a value as a person may see it: without the password of a URL, on
// one line, cut.
func Shown(value string) string {
	if head, _, ok := strings.Cut(value, "://"); ok {
		if u, err := url.Parse(value); err != nil {
			value = head + "://…"
		} else if _, has := u.User.Password(); has {
			value = u.Redacted()
		}
	}
	value = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, value)
	if len(value) > MaxShown {
		value = strings.ToValidUTF8(value[:MaxShown], "") + "…"
	}
	return value
}

// Quote makes one word of s for a POSIX shell.
func Quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@%+,", r)
	}
	if s != "" && s[0] != '-' && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
