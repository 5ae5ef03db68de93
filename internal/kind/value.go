package kind

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	signalbox "github.com/signalbox/signalbox"
)

// Duration is a length of time with its unit, as Prometheus writes it: "30s",
// "1h30m", "7d". A bare number is refused, except 0.
type Duration time.Duration

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := model.ParseDuration(strings.TrimSpace(string(b)))
	if err != nil {
		return fmt.Errorf("must be a duration with its unit, like 30s or 1h30m")
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes the duration as Prometheus does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d Duration) String() string { return model.Duration(d).String() }

// Std is the duration as Go has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// Quantity is a number with its unit: "100ms", "80%", "1GiB", "5". It keeps
// how it was written, for people.
type Quantity struct {
	Value float64        // in Unit
	Unit  signalbox.Unit // the base unit
	Text  string
}

// IsZero reports whether nothing was given.
func (q Quantity) IsZero() bool { return q.Text == "" }

func (q Quantity) String() string { return q.Text }

// MarshalText writes the quantity as it was given.
func (q Quantity) MarshalText() ([]byte, error) { return []byte(q.Text), nil }

type unitScale struct {
	suffix string
	unit   signalbox.Unit
	scale  float64
}

// The longest suffix that fits is taken.
var unitScales = []unitScale{
	{"KiB", signalbox.Bytes, 1 << 10},
	{"MiB", signalbox.Bytes, 1 << 20},
	{"GiB", signalbox.Bytes, 1 << 30},
	{"TiB", signalbox.Bytes, 1 << 40},
	{"kB", signalbox.Bytes, 1e3},
	{"MB", signalbox.Bytes, 1e6},
	{"GB", signalbox.Bytes, 1e9},
	{"TB", signalbox.Bytes, 1e12},
	{"ns", signalbox.Seconds, 1e-9},
	{"us", signalbox.Seconds, 1e-6},
	{"µs", signalbox.Seconds, 1e-6},
	{"ms", signalbox.Seconds, 1e-3},
	{"B", signalbox.Bytes, 1},
	{"%", signalbox.Number, 0.01},
	{"s", signalbox.Seconds, 1},
	{"m", signalbox.Seconds, 60},
	{"h", signalbox.Seconds, 3600},
	{"d", signalbox.Seconds, 86400},
	{"w", signalbox.Seconds, 7 * 86400},
}

// UnmarshalText reads a quantity.
func (q *Quantity) UnmarshalText(b []byte) error {
	text := strings.TrimSpace(string(b))
	rule := fmt.Errorf("must be a finite number with a unit that is known (ns us ms s m h d w, B kB MB GB TB KiB MiB GiB TiB, %%) or none")
	number, unit, scale := text, signalbox.Number, 1.0
	for _, u := range unitScales {
		if head, ok := strings.CutSuffix(text, u.suffix); ok {
			number, unit, scale = strings.TrimSpace(head), u.unit, u.scale
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || strings.ContainsAny(number, "xXpP_") {
		return rule
	}
	*q = Quantity{Value: v * scale, Unit: unit, Text: text}
	return nil
}

// Format writes a value in a unit for people: "1.25s", "80ms", "3.2MiB".
func Format(v float64, unit signalbox.Unit) string {
	switch unit {
	case signalbox.Seconds:
		if math.Abs(v) < float64(math.MaxInt64)/1e9 {
			d := time.Duration(v * 1e9)
			if d.Abs() >= time.Second {
				return d.Round(10 * time.Millisecond).String()
			}
			return d.Round(10 * time.Microsecond).String()
		}
	case signalbox.Bytes:
		for _, u := range unitScales[:4] {
			if s := v / u.scale; math.Abs(s) < 1024 && math.Abs(s) >= 1 {
				return strconv.FormatFloat(s, 'f', 1, 64) + u.suffix
			}
		}
		return strconv.FormatFloat(v, 'f', -1, 64) + "B"
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}

// Subject is a template over labels, "db/{{cluster}}": plain text and names of
// labels in double braces, expanded once; a label's value is never a template.
type Subject struct {
	text  string
	parts []string // text, label, text, label, … text
}

// UnmarshalText reads a subject template.
func (s *Subject) UnmarshalText(b []byte) error {
	rest, parts := string(b), []string(nil)
	for {
		text, after, found := strings.Cut(rest, "{{")
		if strings.Contains(text, "}}") {
			return fmt.Errorf("has }} without {{")
		}
		parts = append(parts, text)
		if !found {
			break
		}
		label, tail, closed := strings.Cut(after, "}}")
		label = strings.TrimSpace(label)
		if !closed || !model.LegacyValidation.IsValidLabelName(label) {
			return fmt.Errorf("must name a label between {{ and }}, like db/{{cluster}}")
		}
		parts, rest = append(parts, label), tail
	}
	*s = Subject{text: string(b), parts: parts}
	return nil
}

// MarshalText writes the template as it was given.
func (s Subject) MarshalText() ([]byte, error) { return []byte(s.text), nil }

func (s Subject) String() string { return s.text }

// IsZero reports whether no template was given.
func (s Subject) IsZero() bool { return s.text == "" }

// Labels are the names of the labels that the template reads.
func (s Subject) Labels() []string {
	var names []string
	for i := 1; i < len(s.parts); i += 2 {
		names = append(names, s.parts[i])
	}
	return names
}

// Expand fills the template in. missing names the first label that is not
// there or empty.
func (s Subject) Expand(labels map[string]string) (subject, missing string) {
	var b strings.Builder
	for i, p := range s.parts {
		if i%2 == 0 {
			b.WriteString(p)
			continue
		}
		v := labels[p]
		if v == "" && missing == "" {
			missing = p
		}
		b.WriteString(v)
	}
	return b.String(), missing
}
