package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/internal/kind"
)

// testCatalog has two entries; the number is that of the version.
type testCatalog string

func (testCatalog) Names() []string { return []string{"queue-lag", "replication-lag"} }

func (c testCatalog) Entry(name string) (kind.Entry, bool) {
	switch name {
	case "replication-lag":
		return kind.Entry{Name: name, Kind: "prometheus", Keys: func(with map[string]any, fail kind.Fail) []byte {
			if job, there := with["job"]; there && job != "pg" {
				fail("job", "must be pg", job)
				return nil
			}
			return fmt.Appendf(nil, `
query: max(lag%s)
unit: s
interval: 30s
breach: {above: 10s, for: 1m}
clear: {below: 5s, for: 2m}
subject: "db/{{instance}}"
labels: [instance]
`, c)
		}}, true
	case "queue-lag":
		return kind.Entry{Name: name, Kind: "alertmanager", Keys: func(map[string]any, kind.Fail) []byte {
			return []byte("match: {a: b}\nsubject: queue\n")
		}}, true
	}
	return kind.Entry{}, false
}

const catalogBase = `default_owner: devops
owners: {devops: {primary: "@sre", escalation: pagerduty, pagerduty: {primary_key_env: KEY}}}
sources:
  metrics: {kind: prometheus, url: "http://127.0.0.1:9090"}
detectors:
`

func loadCatalogued(t *testing.T, c kind.Catalog, detector string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "handbook.yaml")
	if err := os.WriteFile(path, []byte(catalogBase+detector), 0o600); err != nil {
		t.Fatal(err)
	}
	kinds := testKinds()
	kinds.Catalog = c
	cfg, err := Load(path, kinds, Options{LookupEnv: func(string) (string, bool) { return "x", true }})
	if err != nil {
		err = fmt.Errorf("%s", strings.ReplaceAll(err.Error(), path, "handbook.yaml"))
	}
	return cfg, err
}

// What the block has stands above the entry's keys, key by key.
func TestCatalogMerges(t *testing.T) {
	for _, c := range []struct{ name, detector, want string }{
		{"as it is", `- {name: lag, source: metrics, catalog: replication-lag}`, "max(lag) s 30s db/{{instance}} [instance] above 10s 1m, clear 5s 2m"},
		{"a whole key", `- {name: lag, source: metrics, catalog: replication-lag, subject: "x/{{cluster}}", labels: [cluster], query: min(lag)}`, "min(lag) s 30s x/{{cluster}} [cluster] above 10s 1m, clear 5s 2m"},
		{"a threshold, which drops that of clear", `- {name: lag, source: metrics, catalog: replication-lag, breach: {above: 200ms}}`, "max(lag) s 30s db/{{instance}} [instance] above 200ms 1m, clear  2m"},
		{"both thresholds", `- {name: lag, source: metrics, catalog: replication-lag, breach: {above: 20s}, clear: {below: 1s}}`, "max(lag) s 30s db/{{instance}} [instance] above 20s 1m, clear 1s 2m"},
		{"a time alone", `- {name: lag, source: metrics, catalog: replication-lag, breach: {for: 0s}}`, "max(lag) s 30s db/{{instance}} [instance] above 10s 0s, clear 5s 2m"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := loadCatalogued(t, testCatalog(""), c.detector)
			if err != nil {
				t.Fatal(err)
			}
			d := cfg.Detectors[0]
			q := d.Settings.(*testQuery)
			got := fmt.Sprintf("%s %s %s %s %v above %s %s, clear %s %s", q.Query, q.ValueUnit, kind.Duration(d.Interval), d.Subject, d.Labels, q.Breach.Above, q.Breach.For, q.Clear.Below, q.Clear.For)
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// Errors name the place in the file, and the entry where the value is its own.
func TestCatalogErrors(t *testing.T) {
	for _, c := range []struct{ name, detector, want string }{
		{
			"a name that is near", "- name: lag\n  source: metrics\n  catalog: replicaton-lag\n",
			`handbook.yaml:8: detectors[0] "lag": catalog must name a detector of the catalogue (did you mean "replication-lag"?), got "replicaton-lag"`,
		},
		{
			"a name that shares a word", "- name: lag\n  source: metrics\n  catalog: pg_replication\n",
			`handbook.yaml:8: detectors[0] "lag": catalog must name a detector of the catalogue: replication-lag, got "pg_replication"`,
		},
		{
			"a name like none", "- name: lag\n  source: metrics\n  catalog: nothing\n",
			`handbook.yaml:8: detectors[0] "lag": catalog must name a detector of the catalogue: queue-lag, replication-lag, got "nothing"`,
		},
		{
			"a parameter", "- name: lag\n  source: metrics\n  catalog: replication-lag\n  with:\n    job: mysql\n",
			`handbook.yaml:10: detectors[0] "lag": with.job must be pg, got "mysql"`,
		},
		{
			"another kind of source", "- name: lag\n  source: metrics\n  catalog: queue-lag\n",
			`handbook.yaml:7: detectors[0] "lag": source must name a source of kind alertmanager, which the catalogue's queue-lag asks, got "metrics"`,
		},
		{
			"parameters without a catalogue", "- name: lag\n  source: metrics\n  with: {job: pg}\n  query: x\n  subject: x\n  breach: {above: 1}\n",
			`handbook.yaml:8: detectors[0] "lag": with must not be given without catalog: it sets the parameters of a catalogue's detector`,
		},
		{
			"a value of the block against one of the entry", "- name: lag\n  source: metrics\n  catalog: replication-lag\n  breach:\n    above: 5\n",
			`handbook.yaml:10: detectors[0] "lag": breach.above must be in the unit of the value (s), got 5`,
		},
		{
			"a value of the entry against one of the block", "- name: lag\n  source: metrics\n  catalog: replication-lag\n  unit: B\n",
			`handbook.yaml:8: detectors[0] "lag": breach.above must be in the unit of the value (B) (from the catalogue's replication-lag), got 10s`,
		},
		{
			"an unknown key", "- name: lag\n  source: metrics\n  catalog: replication-lag\n  querry: x\n",
			`handbook.yaml:9: detectors[0] "lag": querry is not a known key, did you mean "query"`,
		},
		{
			"a secret among the parameters", "- name: lag\n  source: metrics\n  catalog: replication-lag\n  with: {job: \"http://me:geheim@x/\"}\n",
			`handbook.yaml:9: detectors[0] "lag": with.job must not hold credentials in a URL: give them in a file or an environment variable`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := loadCatalogued(t, testCatalog(""), c.detector)
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
	if _, err := loadCatalogued(t, nil, "- {name: lag, source: metrics, catalog: replication-lag}"); err == nil || !strings.Contains(err.Error(), "catalog "+ruleLater) {
		t.Errorf("without a catalogue: got %v", err)
	}
}

// Another version of the catalogue is another configuration, and so is another
// parameter or key; the order of keys is not.
func TestCatalogHash(t *testing.T) {
	hash := func(c kind.Catalog, detector string) string {
		cfg, err := loadCatalogued(t, c, detector)
		if err != nil {
			t.Fatal(err)
		}
		return cfg.Hash
	}
	const one = `- {name: lag, source: metrics, catalog: replication-lag}`
	first := hash(testCatalog(""), one)
	if hash(testCatalog(""), `- {catalog: replication-lag, source: metrics, name: lag}`) != first {
		t.Error("the order of keys counts")
	}
	if hash(testCatalog("2"), one) == first {
		t.Error("another version of the entry has the same hash")
	}
	if hash(testCatalog(""), `- {name: lag, source: metrics, catalog: replication-lag, with: {job: pg}}`) == first {
		t.Error("another parameter has the same hash")
	}
}
