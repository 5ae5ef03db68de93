package reach

import (
	"strings"
	"testing"
)

func TestTailIsMaskedAndBounded(t *testing.T) {
	t.Parallel()
	secret := "hunter2hunter2"
	text := strings.Join([]string{
		"first", "Authorization: Bearer " + secret, "password=" + secret, `{"api_key": "` + secret + `"}`, "postgres://u:" + secret + "@db/x",
		"DB_PASSWORD: '" + secret + "'", "stripe sk_live_" + secret, "\x1b[31mred", "sent evt_aaaa",
	}, "\n") + "\n"
	got := Tail(text, 8)
	if strings.Contains(got, secret) || strings.Contains(got, "first") || strings.Contains(got, "\x1b") || !strings.HasSuffix(got, "\nsent evt_aaaa") || strings.HasPrefix(got, "\n") {
		t.Errorf("got %s", got)
	}
	if got := Tail(strings.Repeat(strings.Repeat("x", 5000)+"\n", 500), 200); len(got) > mostTail+200 {
		t.Errorf("%d bytes", len(got))
	}
	if got := Tail("", 8); got != "" {
		t.Errorf("got %q", got)
	}
}
