package parity

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Serve serves a target in the text format, from began on and faster than time
// by haste. Before it, it is up and exposes nothing. It returns its host:port.
func (t *Target) Serve(tb testing.TB, began time.Time, haste float64) string {
	tb.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		at := time.Duration(float64(time.Since(began)) * haste)
		switch {
		case at < 0:
		case t.Down(at):
			http.Error(w, "the script says that it is down", http.StatusServiceUnavailable)
			return
		default:
			_, _ = fmt.Fprint(w, t.text(at, began, haste))
		}
	}))
	tb.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func (t *Target) text(at time.Duration, began time.Time, haste float64) string {
	var b strings.Builder
	for _, s := range t.Series {
		v, there := s.At(at, began, haste)
		if !there {
			continue
		}
		b.WriteString(s.Name + "{")
		for i, n := range slices.Sorted(maps.Keys(s.Labels)) {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "%s=%q", n, s.Labels[n])
		}
		b.WriteString("} " + strconv.FormatFloat(v, 'g', -1, 64) + "\n")
	}
	return b.String()
}
