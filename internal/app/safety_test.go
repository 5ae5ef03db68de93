package app

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	roomName   = regexp.MustCompile("`((?:internal|test|policy|detectors|remediators|cmd)[a-z/]*)`")
	roomOrTest = regexp.MustCompile(roomName.String() + `|\b(?:Test|Fuzz)[A-Z]\w+`)
	testFunc   = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
)

// A promise names the tests that try to break it, and those exist.
func TestPromisesNameTheirTests(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "safety.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for line := range strings.Lines(string(text)) {
		room := ""
		for _, at := range roomOrTest.FindAllString(line, -1) {
			if m := roomName.FindStringSubmatch(at); m != nil {
				room = m[1]
				continue
			}
			if named++; !testsOf(t, room)[at] {
				t.Errorf("docs/safety.md names %s of %q, which is not there", at, room)
			}
		}
	}
	if named < 50 {
		t.Errorf("docs/safety.md names %d tests: it isn't read right", named)
	}
}

// testsOf are the tests in a package.
func testsOf(t *testing.T, room string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, room, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
			tests[m[1]] = true
		}
	}
	return tests
}
