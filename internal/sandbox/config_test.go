package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/signalbox/signalbox/internal/kind"
)

// shape is what the tests read of the configuration; the daemon's own reader
// checks all of it.
type shape struct {
	Owners map[string]struct {
		PagerDuty struct {
			KeyFile string `yaml:"primary_key_file"`
			URL     string `yaml:"url"`
		} `yaml:"pagerduty"`
	} `yaml:"owners"`
	Detectors []struct {
		Name, Query, Presence string
		Breach                struct{ Above string }
		Subject               string
		Owner                 string
	} `yaml:"detectors"`
	Switches map[string]struct {
		HTTP      struct{ URL string }
		Positions map[string]string
		Health    struct{ Detector, Subject string }
	} `yaml:"switches"`
}

func writtenConfig(t *testing.T, c *Company) (dir string, s shape) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "conf")
	for range 2 { // a second start overwrites
		if err := c.WriteConfig(dir); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "sandbox.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), addressInConfig) || !strings.Contains(string(text), c.URL()) {
		t.Error("the configuration lacks the company's address")
	}
	return dir, s
}

func TestConfigNamesThePagersKeys(t *testing.T) {
	c, _ := testCompany(t, Options{})
	dir, s := writtenConfig(t, c)
	for name, owner := range s.Owners {
		file := filepath.Join(dir, owner.PagerDuty.KeyFile)
		key, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := routingKeys()[strings.TrimSpace(string(key))]; got != name || len(strings.TrimSpace(string(key))) != 32 {
			t.Errorf("the key of %s, %q, is %s's", name, key, got)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
		if owner.PagerDuty.URL != c.URL() {
			t.Errorf("pages of %s go to %s", name, owner.PagerDuty.URL)
		}
	}
	if len(s.Owners) != len(routingKeys()) {
		t.Errorf("%d owners, %d routing keys", len(s.Owners), len(routingKeys()))
	}
}

// Every query finds its series, each below its threshold while nothing is
// broken, and above it in the scene that is meant for it.
func TestConfigWatchesThisCompany(t *testing.T) {
	scene := map[string]string{
		"reads-lag": sceneReplica, "replica-lag": sceneReplica, "psp-backlog": sceneWebhooks, "cdn-errors": sceneCDN, "cdn-probe": sceneCDN,
	}
	c, ask := testCompany(t, Options{Calm: true})
	_, s := writtenConfig(t, c)
	at := c.run(noon, 10*time.Second)
	for _, d := range s.Detectors {
		if worst(t, ask(d.Query, at)) >= threshold(t, d.Breach.Above) {
			t.Errorf("%s: breached at rest", d.Name)
		}
		if len(ask(d.Presence, at)) != 1 {
			t.Errorf("%s: presence is not proved", d.Name)
		}
	}
	for _, d := range s.Detectors {
		if err := c.Break(scene[d.Name]); err != nil {
			t.Fatalf("%s: %v", d.Name, err)
		}
		at = c.run(at, 10*time.Second)
		if worst(t, ask(d.Query, at)) <= threshold(t, d.Breach.Above) {
			t.Errorf("%s: not breached 10s into %s", d.Name, scene[d.Name])
		}
		at = c.run(at, 2*time.Minute)
	}
}

// What proves a position healthy is there for each position, under the subject
// that the switch names.
func TestConfigHasAWitnessForEachPosition(t *testing.T) {
	c, ask := testCompany(t, Options{Calm: true})
	_, s := writtenConfig(t, c)
	at := c.run(noon, time.Second)
	for name, sw := range s.Switches {
		if sw.HTTP.URL != c.URL()+"/switches/"+name {
			t.Errorf("%s is at %s", name, sw.HTTP.URL)
		}
		seen := map[string]bool{}
		for _, d := range s.Detectors {
			var subject kind.Subject
			if err := subject.UnmarshalText([]byte(d.Subject)); err != nil {
				t.Fatal(err)
			}
			for _, m := range ask(d.Query, at) {
				labels := map[string]string{}
				for k, v := range m.Metric {
					labels[string(k)] = string(v)
				}
				got, missing := subject.Expand(labels)
				if missing != "" {
					t.Errorf("%s: subject %s: no label %s", d.Name, d.Subject, missing)
				}
				seen[d.Name+" "+got] = true
			}
		}
		current := false
		for position, value := range sw.Positions {
			current = current || value == c.Position(name)
			if w := sw.Health.Detector + " " + strings.ReplaceAll(sw.Health.Subject, "{{position}}", position); !seen[w] {
				t.Errorf("%s: nothing proves %s: no series %s", name, position, w)
			}
		}
		if !current {
			t.Errorf("%s stands at %q, which is not listed", name, c.Position(name))
		}
	}
}

func threshold(t *testing.T, text string) float64 {
	t.Helper()
	var q kind.Quantity
	if err := q.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return q.Value
}

func worst(t *testing.T, v model.Vector) float64 {
	t.Helper()
	if len(v) == 0 {
		t.Fatal("no series")
	}
	w := v[0].Value
	for _, s := range v {
		w = max(w, s.Value)
	}
	return float64(w)
}
