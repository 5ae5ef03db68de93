package alerts

import (
	"net/url"
	"strconv"

	"github.com/signalbox/signalbox/internal/httpclient"
)

// plain makes text from outside fit for logs, terminals and pages.
func plain(s string, most int) string { return httpclient.Plain(s, most) }

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
