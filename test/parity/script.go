package parity

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Length is how long the script is; it begins anew after that.
const Length = time.Hour

// step is the grain of the script.
const step = 15 * time.Second

// Targets are the exporters of each job.
const Targets = 3

// Jobs are the scripted exporters.
func Jobs() []string { return []string{"node", "kube", "postgres", "redis", "rabbitmq"} }

// Script is what every exporter says at every moment. It is immutable.
type Script struct {
	targets map[string]*Target
}

// Target is one exporter.
type Target struct {
	Job     string
	Index   int
	Series  []*Series
	outages []span
}

// Series is one series of a target. Its labels don't hold job and instance.
type Series struct {
	Name   string
	Labels map[string]string
	values []float64 // by step; NaN with the bits of gone: not exposed
}

type span struct{ from, to time.Duration }

func (s span) has(at time.Duration) bool { return at >= s.from && at < s.to }

// family is a metric of a job: each of its label sets is a series.
type family struct {
	job, name string
	dims      []string // "device=sda|sdb"
	shape     func(*author) []float64
}

// New writes the script of a seed.
func New(seed uint64) *Script {
	s := &Script{targets: map[string]*Target{}}
	for _, job := range Jobs() {
		for i := range Targets {
			a := newAuthor(seed, job, i)
			s.targets[fmt.Sprintf("%s-%d", job, i)] = &Target{Job: job, Index: i, outages: a.spans(0.4, 2)}
		}
	}
	for _, f := range families() {
		for i := range Targets {
			t := s.Target(f.job, i)
			for _, labels := range combine(f.dims) {
				a := newAuthor(seed, f.job, i, f.name, fmt.Sprint(labels))
				series := &Series{Name: f.name, Labels: owned(f.job, i, labels), values: f.shape(a)}
				a.gaps(series.values)
				t.Series = append(t.Series, series)
			}
		}
	}
	return s
}

// owned: each exporter of the job kube sees namespaces and nodes of its own.
func owned(job string, index int, labels map[string]string) map[string]string {
	own := maps.Clone(labels)
	for _, name := range []string{"namespace", "node"} {
		if v, ok := own[name]; ok && job == "kube" {
			own[name] = fmt.Sprintf("%s-%d", v, index)
		}
	}
	return own
}

// Target is the exporter of a job.
func (s *Script) Target(job string, index int) *Target {
	return s.targets[fmt.Sprintf("%s-%d", job, index)]
}

// Down reports whether the exporter can't be scraped at a moment of the script.
func (t *Target) Down(at time.Duration) bool {
	at %= Length
	for _, o := range t.outages {
		if o.has(at) {
			return true
		}
	}
	return false
}

// times are the ends of the names of metrics that hold a moment. In the script
// they are ages.
var times = []string{"_time_seconds", "_mtime_seconds", "_timestamp_seconds", "_start_time"}

// At is the value at a moment of the script; false: it is not exposed. The
// script began at began, and goes faster than time by haste.
func (s *Series) At(at time.Duration, began time.Time, haste float64) (float64, bool) {
	i := int(at % Length / step)
	v := s.values[i]
	if math.IsNaN(v) && math.Signbit(v) {
		return 0, false
	}
	if slices.ContainsFunc(times, func(end string) bool { return strings.HasSuffix(s.Name, end) }) {
		return float64(began.Unix()) + (float64(i)*step.Seconds()-v)/haste, true
	}
	return v, true
}

// gone marks a step in which a series is not exposed.
func gone() float64 { return math.Copysign(math.NaN(), -1) }

// combine makes every label set of "name=a|b" dimensions.
func combine(dims []string) []map[string]string {
	sets := []map[string]string{{}}
	for _, d := range dims {
		name, values, _ := strings.Cut(d, "=")
		var next []map[string]string
		for _, set := range sets {
			for v := range strings.SplitSeq(values, "|") {
				more := map[string]string{name: v}
				for n, w := range set {
					more[n] = w
				}
				next = append(next, more)
			}
		}
		sets = next
	}
	return sets
}

// author writes one series, or one target, with a random source of its own.
type author struct{ *rand.Rand }

func newAuthor(seed uint64, of ...any) *author {
	h := fnv.New64a()
	fmt.Fprint(h, of...)
	return &author{rand.New(rand.NewPCG(seed, h.Sum64()))}
}

// spans are up to most episodes, none with the chance of quiet.
func (a *author) spans(quiet float64, most int) []span {
	if a.Float64() < quiet {
		return nil
	}
	lengths := []time.Duration{15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 7 * time.Minute, 12 * time.Minute, 20 * time.Minute}
	var out []span
	for range 1 + a.IntN(most) {
		from := time.Duration(a.IntN(int((Length-5*time.Minute)/step))) * step
		out = append(out, span{from, from + lengths[a.IntN(len(lengths))]})
	}
	return out
}

// ill says of each step whether it is in an episode.
func (a *author) ill(quiet float64, most int) []bool {
	out := make([]bool, Length/step)
	for _, s := range a.spans(quiet, most) {
		for i := range out {
			out[i] = out[i] || s.has(time.Duration(i)*step)
		}
	}
	return out
}

// gaps takes a series away for a while, and puts NaN into a few.
func (a *author) gaps(values []float64) {
	for _, s := range a.spans(0.8, 2) {
		for i := range values {
			if s.has(time.Duration(i) * step) {
				values[i] = gone()
			}
		}
	}
	if a.Float64() < 0.04 {
		at := a.IntN(len(values))
		for i := at; i < min(len(values), at+8); i++ {
			values[i] = math.NaN()
		}
	}
}

// level is about good, and about bad in episodes, some of which flap.
func level(good, bad float64) func(*author) []float64 {
	return func(a *author) []float64 {
		ill, out := a.ill(0.2, 3), make([]float64, Length/step)
		flap := a.Float64() < 0.2
		for i := range out {
			v := good
			if ill[i] && (!flap || i%3 != 0) {
				v = bad
			}
			out[i] = v * (0.9 + 0.2*a.Float64())
		}
		return out
	}
}

// state is one of two values.
func state(good, bad float64) func(*author) []float64 {
	return func(a *author) []float64 {
		ill, out := a.ill(0.25, 3), make([]float64, Length/step)
		flap := a.Float64() < 0.25
		for i := range out {
			if out[i] = good; ill[i] && (!flap || i%2 == 0) {
				out[i] = bad
			}
		}
		return out
	}
}

// steady is one value.
func steady(v float64) func(*author) []float64 {
	return func(*author) []float64 {
		out := make([]float64, Length/step)
		for i := range out {
			out[i] = v
		}
		return out
	}
}

// count goes up by one rate a second, and by another in episodes; some start
// again from 0.
func count(good, bad float64) func(*author) []float64 {
	return func(a *author) []float64 {
		ill, out := a.ill(0.2, 3), make([]float64, Length/step)
		sum := float64(a.IntN(100_000))
		reset := -1
		if a.Float64() < 0.3 {
			reset = a.IntN(len(out))
		}
		for i := range out {
			rate := good
			if ill[i] {
				rate = bad
			}
			if sum += math.Round(rate*step.Seconds()*(0.8+0.4*a.Float64())*1e3) / 1e3; i == reset {
				sum = 0
			}
			out[i] = sum
		}
		return out
	}
}

// slope goes from one value to another, and jumps back in some.
func slope(from, to float64) func(*author) []float64 {
	return func(a *author) []float64 {
		out := make([]float64, Length/step)
		back := a.IntN(2 * len(out))
		for i := range out {
			at := i
			if i > back {
				at = i - back
			}
			out[i] = from + (to-from)*float64(at)/float64(len(out))*(0.97+0.06*a.Float64())
		}
		return out
	}
}

// age is how long ago something was, in seconds: it grows, and is again 0 now
// and then.
func age(at, every time.Duration) func(*author) []float64 {
	return func(a *author) []float64 {
		out := make([]float64, Length/step)
		v, next := at.Seconds()*(0.5+a.Float64()), 0.0
		next = every.Seconds() * (0.5 + a.Float64())
		for i := range out {
			if v += step.Seconds(); every > 0 && v >= next {
				v, next = 0, every.Seconds()*(0.5+a.Float64())
			}
			out[i] = math.Round(v)
		}
		return out
	}
}
