//go:build faults

package step

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	got, err := parse("check.after 2 kill; probe 1 late 5ms;seal.before 3 wait /tmp/f ;")
	want := []order{{CheckAfter, 2, "kill", ""}, {Probe, 1, "late", "5ms"}, {SealBefore, 3, "wait", "/tmp/f"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v %v, want %v", got, err, want)
	}
	for text, rule := range map[string]string{
		"probe":              "STEP N WHAT",
		"probe 0 kill":       "above zero",
		"prob 1 kill":        "no step",
		"probe 1 die":        "must end in",
		"probe 1 wait":       "must end in",
		"probe 1 kill extra": "must end in",
		"probe 1 late soon":  "duration",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), rule) {
			t.Errorf("%q: got %v, want an error that says %q", text, err, rule)
		}
	}
}

func TestWaitsUntilReleased(t *testing.T) {
	file := filepath.Join(t.TempDir(), "release")
	done := make(chan struct{})
	go func() { order{Probe, 1, "wait", file}.carryOut(); close(done) }()
	select {
	case <-done:
		t.Fatal("it went on before it was released")
	case <-time.After(50 * time.Millisecond):
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-done
}
