package reach

import (
	"fmt"
	"net"
	"os"
	"strings"
)

// mostSecret bounds a secret, in bytes.
const mostSecret = 1024

// Secret reads a secret of one line from a file, or where one is named from an
// environment variable. An error names the place and nothing of it.
func Secret(what, file, env string) (string, error) {
	place, text := file, ""
	if env != "" {
		place, text = "environment variable "+env, os.Getenv(env)
	} else {
		b, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("%s: %w", what, err)
		}
		text = string(b)
	}
	text = strings.Trim(text, "\r\n")
	if text == "" || len(text) > mostSecret || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return "", fmt.Errorf("%s: %s must hold one line of at most %d characters", what, place, mostSecret)
	}
	return text, nil
}

// Loopback reports whether a host is this machine.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
