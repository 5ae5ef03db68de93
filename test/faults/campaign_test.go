package faults

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/step"
	"github.com/signalbox/signalbox/test/servers"
)

const (
	resultsFile = "results.json"
	tableFile   = "../../docs/faults.md"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("the fault campaign is left out by -short")
		return
	}
	dir, err := os.MkdirTemp("", "signalbox-faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	programs = dir
	// Cells mostly wait: more of them than there are processors.
	if f := flag.Lookup("test.parallel"); f.Value.String() == fmt.Sprint(runtime.GOMAXPROCS(0)) {
		_ = flag.Set("test.parallel", fmt.Sprint(2*runtime.GOMAXPROCS(0)))
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// healthy is a Prometheus that proves both positions healthy.
func healthy(t testing.TB) string {
	t.Helper()
	exporter := servers.Exporter(t)
	for _, position := range []string{"a", "b"} {
		exporter.Set("position_lag_seconds", 0.01, "position", position)
	}
	url := servers.Prometheus(t, servers.PrometheusOptions{Scrape: map[string][]string{"positions": {exporter.Host()}}}).URL
	servers.Await(t, servers.Patience, "the positions to be scraped", func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/v1/query?query=count(position_lag_seconds)==2", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || !strings.Contains(string(body), `"value"`) {
			return fmt.Errorf("%s %w", body, err)
		}
		return nil
	})
	return url
}

func rowOf(t testing.TB, key string) *row {
	t.Helper()
	i := slices.IndexFunc(rows, func(r row) bool { return r.key == key })
	if i < 0 {
		t.Fatalf("there is no row %q", key)
	}
	return &rows[i]
}

// A release holds no step: nothing of the environment is read, and what is left
// of the package is the empty function. The armed binary shows that this can be
// seen.
func TestReleaseHoldsNoSteps(t *testing.T) {
	t.Parallel()
	holds := func(path string) (orders bool, symbols int) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("go", "tool", "nm", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(out), "\n") {
			if strings.Contains(line, "signalbox/internal/step.") && !strings.HasSuffix(line, "/internal/step.At") {
				symbols++
			}
		}
		return strings.Contains(string(text), "SIGNALBOX_STEPS"), symbols
	}
	if orders, symbols := holds(build(t, "signalbox-release")); orders || symbols > 0 {
		t.Errorf("the release has orders: %t, and %d symbols of its steps", orders, symbols)
	}
	if orders, symbols := holds(theDaemon(t)); !orders || symbols == 0 {
		t.Errorf("the armed daemon has orders: %t, and %d symbols of its steps: the check sees nothing", orders, symbols)
	}
}

// Each step of the table is passed: in a normal run, and after a kill.
func TestEachStepIsPassed(t *testing.T) {
	t.Parallel()
	r := newRun(t, 1, theDaemon(t), healthy(t))
	c := r.cell(variant{})
	c.start(fmt.Sprintf("%s 1 kill", step.IntentAfter))
	c.fireAt(classA)
	if !c.awaitDeath(servers.Patience) {
		t.Fatal("it did not come to its intent")
	}
	c.start("")
	c.fireAt(classC)
	c.fireAt(classP)
	if v := c.judge(servers.Patience); len(v.Wrong) > 0 {
		t.Errorf("what was wrong: %q", v.Wrong)
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(c.log), "steps"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range step.Names() {
		if !strings.Contains(string(text), string(n)+" ") {
			t.Errorf("step %s was not passed", n)
		}
	}
}

func newRun(t testing.TB, seed uint64, binary, health string) *run {
	return &run{t: t, rng: rand.New(rand.NewPCG(seed, 6)), binary: binary, tool: operators, health: health}
}

// A few of each row, with nothing lost and nothing twice.
func TestSample(t *testing.T) {
	t.Parallel()
	binary, health := theDaemon(t), healthy(t)
	for i := range rows {
		row := &rows[i]
		if row.play == nil {
			continue // it is not yet, or a test of its own elsewhere
		}
		for k, v := range row.sample() {
			t.Run(row.key+"/"+v.String(), func(t *testing.T) {
				t.Parallel()
				if why := row.lacks(); why != "" {
					untested(t, "%s: %s", row.name, why)
				}
				o := row.play(newRun(t, uint64(20261126+k), binary, health), v, row.few)
				for _, w := range o.Wrong {
					t.Error(w)
				}
				if o.faults == 0 {
					t.Errorf("no fault struck, and %d were planned", row.few)
				}
				t.Logf("faults %d, missed %d, alerts %d, actions %d, effects %d, in doubt %d, left %d, gaps %v ms",
					o.faults, o.missed, o.Alerts, o.Actions, o.Effects, o.InDoubt, o.LeftDoubt, o.Gaps)
			})
		}
	}
}

// untested says that this machine can't run a test: loudly where a developer
// sits, and as a failure in CI, which must not be the place where it is left out.
func untested(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("NOT TESTED, and CI must: "+format, args...)
	}
	t.Skipf("LOUD: NOT TESTED here: "+format, args...)
}

// The table is what the results say.
func TestTableIsWrittenByTheProgram(t *testing.T) {
	t.Parallel()
	results, err := Load(resultsFile)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(tableFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != Render(results) {
		t.Errorf("%s is not what %s gives: run make faults MINUTES=0", tableFile, resultsFile)
	}
}

// TestCampaign continues the campaign: SIGNALBOX_FAULTS says for how many
// minutes, SIGNALBOX_FAULTS_ROW which row, else those of which most is left to
// do; SIGNALBOX_FAULTS_MERGE names another file of results to take in first;
// SIGNALBOX_FAULTS_CELLS how many cells at once; SIGNALBOX_FAULTS_OF a part of
// the names of the variants to play. Each part is saved when it
// is judged, so that it may be ended at any time.
func TestCampaign(t *testing.T) {
	text := os.Getenv("SIGNALBOX_FAULTS")
	if text == "" {
		t.Skip("SKIPPED: the campaign takes hours: make faults runs it, and TestSample a sample of it")
	}
	minutes, err := strconv.Atoi(text)
	if err != nil || minutes < 0 {
		t.Fatalf("SIGNALBOX_FAULTS must be a number of minutes, got %q", text)
	}
	cells := max(1, number(t, "SIGNALBOX_FAULTS_CELLS", 2))
	seed := number(t, "SIGNALBOX_FAULTS_SEED", int(time.Now().Unix()))
	c := &campaign{commit: commit(), only: os.Getenv("SIGNALBOX_FAULTS_ROW"), of: os.Getenv("SIGNALBOX_FAULTS_OF"), seed: uint64(seed)}
	if c.of != "" && c.only == "" {
		t.Fatal("SIGNALBOX_FAULTS_OF names variants of one row, and SIGNALBOX_FAULTS_ROW must say of which")
	}
	if c.only != "" && len(c.variants(rowOf(t, c.only))) == 0 {
		t.Fatalf("row %s has no variant with %q in its name", c.only, c.of)
	}
	if c.results, err = Load(resultsFile); err != nil {
		t.Fatal(err)
	}
	if path := os.Getenv("SIGNALBOX_FAULTS_MERGE"); path != "" {
		other, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		c.results.Merge(other)
		if err := c.results.Save(resultsFile); err != nil {
			t.Fatal(err)
		}
	}
	if minutes > 0 {
		c.leaveOut(t, (*row).lacks)
		c.binary, c.health = theDaemon(t), healthy(t)
		c.until = time.Now().Add(time.Duration(minutes) * time.Minute)
		c.playAll(t, cells)
	}
	if err := replace(tableFile, Render(c.results)); err != nil {
		t.Fatal(err)
	}
}

// playAll plays parts until the time is over, in so many cells at once.
func (c *campaign) playAll(t *testing.T, cells int) {
	t.Run("cells", func(t *testing.T) {
		for i := range cells {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for n := 0; c.goesOn() && c.part(t, n); n++ {
				}
			})
		}
	})
	if c.played == 0 {
		t.Error("no part was played")
	}
}

func number(t testing.TB, name string, or int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return or
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s must be a number, got %q", name, text)
	}
	return n
}
