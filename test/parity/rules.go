package parity

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/rules"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/poll"
)

// Source is the name of the source that the rules ask.
const Source = "metrics"

// Files are the rule files.
func Files(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/rules/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Read reads a rule file, and fails the test where something is wrong with it.
func Read(t testing.TB, file string) []rules.Placed {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	placed, problems := rules.Read(file, text)
	for _, p := range problems {
		t.Errorf("%s:%d: %s: %s", file, p.Line, p.Where, p.Rule)
	}
	return placed
}

// Name is the name of the detector of a rule: how often its group has an alert
// of that name before it tells rules of one name apart.
func Name(r rules.Rule, before int) string {
	return fmt.Sprintf("%s/%s/%s#%d", filepath.Base(r.File), r.Group, r.Alert, before)
}

// Polled makes detectors of rules, as the daemon does, asked through asks.
// opened is what the source's kind opened.
func Polled(t testing.TB, placed []rules.Placed, interval time.Duration, asks signalbox.Source) []poll.Detector {
	t.Helper()
	var subject kind.Subject
	if err := subject.UnmarshalText([]byte("{{alertname}}/{{instance}}")); err != nil {
		t.Fatal(err)
	}
	var out []poll.Detector
	seen := map[string]int{}
	for _, p := range placed {
		every := p.Interval
		if every == 0 {
			every = interval
		}
		same := p.File + p.Group + p.Alert
		c := kind.Common{Name: Name(p.Rule, seen[same]), Source: Source, Subject: subject, Interval: every, UnknownAfter: Length}
		seen[same]++
		settings := &rules.Settings{Rule: p.Rule}
		judge, timing, err := settings.Build(c, asks)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, poll.Detector{
			Name: c.Name, Detector: judge, Source: Source, Asks: &rules.Clock{Source: asks, Grid: judge.(*rules.Detector).Grid()},
			Group: p.File + ";" + p.Group, Interval: every, UnknownAfter: c.UnknownAfter, Timing: timing, Hash: settings.String(),
		})
	}
	return out
}
