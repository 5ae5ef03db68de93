package parity

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	registry "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/prometheus"
	"github.com/signalbox/signalbox/detectors/rules"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/poll"
	"github.com/signalbox/signalbox/test/servers"
)

// A Prometheus server and the daemon's poller beside it, in real time.
func TestServerInShort(t *testing.T) {
	t.Parallel()
	runBeside(t, &beside{
		files: []string{"node-up", "node-cpu", "postgres-up", "redis-up", "redis-clients", "rabbitmq-up", "rabbitmq-queues", "mixed-corroborated"},
		haste: 7.5, length: 75 * time.Second, seed: 3, differ: 3, lost: 0.1,
	})
}

func TestServerForAnHour(t *testing.T) {
	text := os.Getenv("SIGNALBOX_HOUR")
	if text == "" {
		t.Skip("SKIPPED, NOT TESTED: SIGNALBOX_HOUR is not set: how long the scripted hour takes (1h: real time, 20m: three times as fast)")
	}
	length, err := time.ParseDuration(text)
	if err != nil || length < time.Minute || length > Length {
		t.Fatalf("SIGNALBOX_HOUR must be from 1m to 1h, got %q", text)
	}
	runBeside(t, &beside{haste: float64(Length) / float64(length), length: length, seed: 20260115, differ: 2, lost: 0.02})
}

// beside is one run of both. Prometheus 2.42 is the oldest server with
// keep_firing_for; what it does not know yet is taken out of the files.
type beside struct {
	files  []string // none: all
	haste  float64
	length time.Duration
	seed   uint64
	differ int     // at so many evaluations in a row the two may not
	lost   float64 // the share of rounds that may be missed, and that may fail

	source *prometheus.Source
	api    v1.API
	grace  time.Duration // of an evaluation's timing

	mu     sync.Mutex
	rounds map[string][]look // by detector
}

// look is one round of the daemon.
type look struct {
	at     time.Time
	failed string
	alerts map[Key]rules.State
}

func runBeside(t *testing.T, b *beside) {
	b.rounds, b.grace = map[string][]look{}, time.Second
	warm := b.real(2*time.Minute) + 2*time.Second // Prometheus writes ALERTS from its third evaluation on
	began := time.Now().Add(warm + 2*time.Second)
	script, scrape := New(b.seed), map[string][]string{}
	for _, job := range Jobs() {
		for i := range Targets {
			scrape[job] = append(scrape[job], script.Target(job, i).Serve(t, began, b.haste))
		}
	}
	server := servers.Prometheus(t, servers.PrometheusOptions{
		Scrape: scrape, Rules: b.texts(t), Interval: b.real(step), Lookback: b.real(5 * time.Minute),
	})
	b.connect(t, server.URL)
	polled := b.polled(t)
	p := poll.New(poll.Options{
		Now: time.Now, Log: slog.New(slog.DiscardHandler), Registerer: registry.NewRegistry(), Emit: b.emit(polled),
	})
	p.Set(polled)
	ctx, cancel := context.WithDeadline(t.Context(), began.Add(b.length))
	defer cancel()
	_ = p.Run(ctx)
	b.compare(t, polled, began)
}

// real is how long something of the script lasts.
func (b *beside) real(d time.Duration) time.Duration { return time.Duration(float64(d) / b.haste) }

var (
	lasting = regexp.MustCompile(`(interval: |for: |\[|:|offset )(\d+)(s|m|h)\b`)
	unheard = regexp.MustCompile(`(?m)^    query_offset: .*\n|^    labels:\n(?:      \S.*\n)+`)
)

// texts are the rule files, with all times of theirs made shorter.
func (b *beside) texts(t *testing.T) []string {
	var out []string
	for _, file := range Files(t) {
		if b.files != nil && !slices.Contains(b.files, strings.TrimSuffix(filepath.Base(file), ".yaml")) {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		short := lasting.ReplaceAllStringFunc(unheard.ReplaceAllString(string(text), ""), func(found string) string {
			m := lasting.FindStringSubmatch(found)
			n, _ := strconv.Atoi(m[2]) // digits only
			d := time.Duration(n) * map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[m[3]]
			return m[1] + model.Duration(b.real(d).Round(time.Millisecond)).String()
		})
		// A group without an interval of its own has the server's, which is
		// that of the scrapes.
		out = append(out, short)
	}
	return out
}

func (b *beside) connect(t *testing.T, url string) {
	settings := prometheus.Kind().Settings().(*prometheus.Settings)
	settings.URL = url
	opened, err := prometheus.Kind().Open(Source, settings, kind.Env{Log: slog.Default(), Now: time.Now, Agent: "signalbox"})
	if err != nil {
		t.Fatal(err)
	}
	b.source = opened.(*prometheus.Source)
	client, err := api.NewClient(api.Config{Address: url})
	if err != nil {
		t.Fatal(err)
	}
	b.api = v1.NewAPI(client)
}

// polled reads the files from where the server has them: then both evaluate a
// group at the same moments.
func (b *beside) polled(t *testing.T) []poll.Detector {
	result, err := b.api.Rules(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, g := range result.Groups {
		files = append(files, g.File)
	}
	slices.Sort(files)
	var out []poll.Detector
	for _, file := range slices.Compact(files) {
		out = append(out, Polled(t, Read(t, file), b.real(step), b.source)...)
	}
	return out
}

func (b *beside) emit(polled []poll.Detector) func(poll.Round) {
	judges := map[string]*rules.Detector{}
	for _, d := range polled {
		judges[d.Name] = d.Detector.(*rules.Detector)
	}
	return func(r poll.Round) {
		judge := judges[r.Detector]
		if judge == nil {
			return
		}
		l := look{at: judge.Grid().Slot(r.At), alerts: map[Key]rules.State{}}
		for _, a := range judge.Alerts() {
			l.alerts[Key{r.Detector, Labels(a.Labels, "alertname")}] = a.State
		}
		for _, x := range r.Readings {
			if x.Condition == signalbox.Unknown && x.Series == "" {
				l.failed = x.Reason
			}
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.rounds[r.Detector] = append(b.rounds[r.Detector], l)
	}
}

// theirs are the samples that Prometheus wrote of a rule's alerts: at each
// evaluation, the state of each.
func (b *beside) theirs(t *testing.T, d poll.Detector, began time.Time) map[Key]map[int64]rules.State {
	alert := strings.Split(strings.Split(d.Name, "/")[2], "#")[0]
	query := fmt.Sprintf("ALERTS{alertname=%q}[%s]", alert, model.Duration(b.length+time.Second))
	value, _, _, err := b.api.Query(t.Context(), query, began.Add(b.length))
	if err != nil {
		t.Fatal(err)
	}
	out := map[Key]map[int64]rules.State{}
	for _, series := range value.(model.Matrix) {
		all := map[string]string{}
		for n, v := range series.Metric {
			all[string(n)] = string(v)
		}
		k := Key{d.Name, Labels(all, "__name__", "alertname", "alertstate")}
		for _, s := range series.Values {
			if out[k] == nil {
				out[k] = map[int64]rules.State{}
			}
			out[k][int64(s.Timestamp)] = rules.State(all["alertstate"])
		}
	}
	return out
}

// compare holds the two against each other, evaluation by evaluation. Each may
// see a sample of the moment of an evaluation that the other does not see yet:
// so they may differ at one evaluation, and not at two in a row. In haste a value
// may last for one step only, which one of them sees an evaluation later: there
// they may not differ at three in a row.
func (b *beside) compare(t *testing.T, polled []poll.Detector, began time.Time) {
	var evaluations, moved, apart, missed, failed int
	active := map[string]bool{}
	for _, d := range polled {
		theirs := b.theirs(t, d, began)
		twins := slices.ContainsFunc(polled, func(o poll.Detector) bool {
			return o.Name != d.Name && strings.Split(o.Name, "#")[0] == strings.Split(d.Name, "#")[0]
		})
		keys := map[Key]bool{}
		for k := range theirs {
			keys[k] = true
		}
		var looks []look
		for _, l := range b.rounds[d.Name] {
			if l.at.After(began) {
				looks = append(looks, l)
				if l.failed != "" {
					failed++
				}
				for k := range l.alerts {
					keys[k] = true
				}
			}
		}
		missed += max(0, int(b.length/d.Interval)-1-len(looks))
		evaluations += len(looks)
		for k := range keys {
			if early(b.rounds[d.Name], k, began) || twins && notOf(b.rounds[d.Name], k) {
				continue // it was there before the script began, since another moment for each
			}
			active[d.Name] = true
			was, run := rules.Inactive, 0
			for _, l := range looks {
				mine, their := stateOf(l.alerts[k]), stateOf(theirs[k][l.at.UnixMilli()])
				if their != was {
					moved, was = moved+1, their
				}
				if mine == their {
					run = 0
				} else if run++; run == b.differ {
					apart++
					t.Errorf("%s %s at %s: %s by Prometheus, %s here", k.Rule, k.Labels, l.at.UTC().Format("15:04:05.000"), their, mine)
				}
			}
		}
	}
	t.Logf("%s at %gx: %d rules, %d of which had an alert, %d evaluations of the daemon (%d failed, %d missed), %d transitions by Prometheus, %d spans apart for %d evaluations in a row",
		b.length, b.haste, len(polled), len(active), evaluations, failed, missed, moved, apart, b.differ)
	if len(active) < len(polled)/4 || moved < len(polled)/4 {
		t.Errorf("too little happened to compare")
	}
	if most := b.lost * float64(evaluations); float64(missed) > most || float64(failed) > most {
		t.Errorf("%d rounds were missed and %d failed, of %d", missed, failed, evaluations)
	}
}

func stateOf(s rules.State) rules.State {
	if s == "" {
		return rules.Inactive
	}
	return s
}

func early(looks []look, k Key, began time.Time) bool {
	return slices.ContainsFunc(looks, func(l look) bool { return !l.at.After(began) && l.alerts[k] != "" })
}

func notOf(looks []look, k Key) bool {
	return !slices.ContainsFunc(looks, func(l look) bool { return l.alerts[k] != "" })
}
