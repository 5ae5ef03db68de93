package prometheus

import "github.com/signalbox/signalbox/internal/httpclient"

// maxText bounds what of a foreign text is repeated.
const maxText = 300

// plain makes one bounded line of a foreign text.
func plain(text string) string { return httpclient.Plain(text, maxText) }

// plain makes one bounded line of what the server says, without the credentials
// that it may echo.
func (s *Source) plain(text string) string { return plain(s.client.Redact(text)) }

func (s *Source) plainAll(texts []string) []string {
	var out []string
	for _, t := range texts {
		out = append(out, s.plain(t))
	}
	return out
}
