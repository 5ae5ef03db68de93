package ctl

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Of several servers the next is asked where one is away or stands by. A change
// that was sent and not answered is not sent to another, and what is refused for
// what it is, is not asked again.
func TestSeveralServers(t *testing.T) {
	leader := newFake(t, http.StatusOK, `{"kind":"pause","scope":"all","who":"me"}`)
	standby := newFake(t, http.StatusServiceUnavailable, `{"error":"this replica stands by, and changes nothing: replica \"b\" leads, ask it there"}`)
	refuses := newFake(t, http.StatusForbidden, `{"error":"it needs the right to control"}`)
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(cut.Close)
	const away = "http://127.0.0.1:1"
	pause, read := []string{"pause", "--reason", "x", "all"}, []string{"status"}
	for name, c := range map[string]struct {
		servers string
		args    []string
		code    int
		says    string // on standard error
		asked   int    // the leader
	}{
		"a read, one is away":             {away + "," + leader.URL, read, OK, away + ": ", 1},
		"a read, one is cut off":          {cut.URL + ", " + leader.URL, read, OK, "asking the next", 1},
		"a read, one has no store":        {standby.URL + "," + leader.URL, read, OK, "asking the next", 1},
		"a change, one is away":           {away + "," + leader.URL, pause, OK, "asking the next", 1},
		"a change, one stands by":         {standby.URL + "," + leader.URL, pause, OK, `replica "b" leads`, 1},
		"a change, the first leads":       {leader.URL + "," + standby.URL, pause, OK, "", 1},
		"a change, no answer":             {cut.URL + "," + leader.URL, pause, Unreachable, "EOF", 0},
		"a change, refused":               {refuses.URL + "," + leader.URL, pause, Refused, "the right to control", 0},
		"all stand by or are away":        {standby.URL + "," + away, pause, Refused, "none of the servers could do it:\n  " + standby.URL + ": this replica stands by", 0},
		"all are away":                    {away + "," + away, read, Unreachable, "none of the servers could do it", 0},
		"readiness of several":            {away + "," + leader.URL, []string{"ready"}, Usage, "ready is about one replica", 0},
		"a reload of several":             {away + "," + leader.URL, []string{"reload"}, Usage, "reload is about one replica", 0},
		"an empty one":                    {away + ",", read, Usage, "must be URLs, comma separated", 0},
		"one that is none, after another": {away + ",here", read, Usage, `--server must be a URL, got "here"`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			leader.asked = nil
			_, errs, code := run(t, append([]string{"--server", c.servers}, c.args...)...)
			if code != c.code || !strings.Contains(errs, c.says) || c.says == "" && errs != "" {
				t.Errorf("exit code %d, want %d, with %q: %s", code, c.code, c.says, errs)
			}
			if len(leader.asked) != c.asked {
				t.Errorf("the leader was asked %d times, want %d", len(leader.asked), c.asked)
			}
		})
	}
	leader.asked = nil
	if _, errs, code := run(t, append([]string{"--server", away, "--server", leader.URL}, pause...)...); code != OK || len(leader.asked) != 1 {
		t.Errorf("a repeated flag: exit code %d, asked %d times: %s", code, len(leader.asked), errs)
	}
}
