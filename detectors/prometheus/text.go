package prometheus

import (
	"strings"
	"unicode"
)

// maxText bounds what of a foreign text is repeated.
const maxText = 300

// plain makes one bounded line of a foreign text, without control characters.
func plain(text string) string {
	line := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	line = strings.Join(strings.Fields(line), " ")
	if len(line) <= maxText {
		return line
	}
	cut := maxText
	for cut > 0 && line[cut]&0xC0 == 0x80 { // not within a rune
		cut--
	}
	return line[:cut] + "…"
}
