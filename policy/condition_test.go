package policy

import (
	"math"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

func TestCheckWhen(t *testing.T) {
	seconds, number := signalbox.Seconds, signalbox.Number
	cases := map[string]struct {
		expr        string
		unit        signalbox.Unit
		destination []signalbox.Unit
		want        string // part of the error; empty: it is right
	}{
		"empty":                   {"", number, nil, ""},
		"duration":                {`value > duration("1s")`, seconds, nil, ""},
		"number":                  {`value > 5 && value < 7.5`, number, nil, ""},
		"bytes are numbers":       {`value > 5`, signalbox.Bytes, nil, ""},
		"labels":                  {`labels.env == "prod" && labels.exists(k, k.startsWith("x")) && has(labels.zone)`, number, nil, ""},
		"names":                   {`subject != detector`, number, nil, ""},
		"destination":             {`destination.value < duration("1s") && destination.healthy && destination.position == "b"`, number, []signalbox.Unit{seconds}, ""},
		"a number for a duration": {`value > 5`, seconds, nil, "column 7: found no matching overload"},
		"a duration for a number": {`value > duration("1s")`, number, nil, "column 7: found no matching overload"},
		"destination's unit":      {`destination.value < 5`, number, []signalbox.Unit{seconds}, "column 19: found no matching overload"},
		"no destination":          {`destination.healthy`, number, nil, "undeclared reference"},
		"unknown name":            {`lag > 5`, number, nil, "column 1: undeclared reference to 'lag'"},
		"no bool":                 {`value`, number, nil, "must be true or false, got a value of type double"},
		"dyn":                     {`[1, "a"][0]`, number, nil, "must be true or false"},
		"syntax":                  {`value >`, number, nil, "column 8: Syntax error"},
		"bad duration":            {`value > duration("1 fortnight")`, seconds, nil, "Duration"},
		"too long":                {strings.Repeat("true && ", 1000) + "true", number, nil, "size exceeds limit"},
		"label is no number":      {`labels.env > 5`, number, nil, "found no matching overload"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := CheckWhen(c.expr, c.unit, c.destination...)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has more than one line: %q", err)
			}
		})
	}
}

func TestConditionHolds(t *testing.T) {
	cases := map[string]struct {
		expr    string
		unit    signalbox.Unit
		value   float64
		none    bool
		want    bool
		wantErr string
	}{
		"true":            {`value > duration("1s")`, signalbox.Seconds, 1.5, false, true, ""},
		"false":           {`value > duration("1s")`, signalbox.Seconds, 1, false, false, ""},
		"tenth":           {`value == duration("100ms")`, signalbox.Seconds, 0.1, false, true, ""},
		"no value":        {`value > 1`, signalbox.Number, 2, true, false, "no such attribute"},
		"not a number":    {`value > 1`, signalbox.Number, math.NaN(), false, false, "no such attribute"},
		"infinite":        {`value > 1`, signalbox.Number, math.Inf(1), false, false, "no such attribute"},
		"too long a time": {`value > duration("1s")`, signalbox.Seconds, 1e12, false, false, "no such attribute"},
		"label missing":   {`labels.zone == "x"`, signalbox.Number, 2, false, false, "no such key"},
		"label asked for": {`has(labels.zone)`, signalbox.Number, 2, false, false, ""},
		"no destination":  {`value > 1 && labels.env == "prod" && subject == "db/eu" && detector == "lag"`, signalbox.Number, 2, false, true, ""},
		"too much work":   {`labels.big.matches("(a*)*b") || labels.big.matches("(b*)*c")`, signalbox.Number, 2, false, false, "cost limit"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			compiled, err := newCompiler().compile(c.expr, c.unit)
			if err != nil {
				t.Fatal(err)
			}
			got, err := compiled.holds(&input{reading: &signalbox.Reading{
				Detector: "lag", Subject: "db/eu", Unit: c.unit, Value: signalbox.Float(c.value), HasValue: !c.none,
				Labels: map[string]string{"env": "prod", "big": strings.Repeat("a", 1<<20)},
			}})
			if got != c.want || (err == nil) != (c.wantErr == "") || err != nil && !strings.Contains(err.Error(), c.wantErr) {
				t.Errorf("got %v, %v; want %v, %q", got, err, c.want, c.wantErr)
			}
		})
	}
}

func TestDestinationOfADetectorThatBreachesBelow(t *testing.T) {
	b := newBox(t)
	for series, value := range map[string]float64{"one": 3, "two": 2} {
		b.w.Facts.Put(&signalbox.Reading{
			Detector: "errors", Series: series, Subject: "x", Condition: signalbox.Clear, Value: signalbox.Float(value), HasValue: true,
			SampleAt: noon, At: noon, Threshold: "below 1",
		})
	}
	l := newLook(b.h, b.w, b.inc())
	d := l.destination(&signalbox.Step{To: "p", Health: map[string]signalbox.Witness{"p": {Detector: "errors", Subject: "x"}}})
	if !d.healthy || d.value == nil || d.value.Value() != 2.0 {
		t.Errorf("got %+v, want the worst value, 2", d)
	}
}

// Whatever is written as a condition, compiling and evaluating it ends without a
// panic, in bounded time.
func FuzzCondition(f *testing.F) {
	for _, s := range []string{
		`value > duration("1s") && labels.env == "prod"`, `destination.value < 5`, `labels.exists(k, labels[k] == "x")`, `[1,2].map(x, x * 2) == [2,4]`,
		`"a".matches("(((")`, `{"a": 1}["b"] == 1`, `1/0 == 1`, `timestamp("x") > timestamp("y")`, `((((((`, "\x00", `value.value.value`, `-9223372036854775808 == 1`,
	} {
		f.Add(s, true)
	}
	reading := &signalbox.Reading{
		Detector: "d", Subject: "s", Unit: signalbox.Seconds, Value: 1, HasValue: true, Labels: map[string]string{"env": "prod"},
		SampleAt: time.Unix(0, 0),
	}
	f.Fuzz(func(t *testing.T, expr string, seconds bool) {
		unit := signalbox.Number
		if seconds {
			unit = signalbox.Seconds
		}
		c, err := newCompiler().compile(expr, unit, signalbox.Number)
		if err != nil {
			if strings.Contains(err.Error(), "\n") && !strings.Contains(expr, "\n") {
				t.Errorf("the error has more than one line: %q", err)
			}
			return
		}
		if _, err := c.holds(&input{reading: reading, looked: &destination{position: "p"}}); err != nil && c == nil {
			t.Errorf("an empty condition fails: %v", err)
		}
	})
}

// What labels can make dear is counted while it is evaluated.
func TestSurelyCheap(t *testing.T) {
	c := newCompiler()
	for expr, want := range map[string]bool{
		`value > 1.0 && labels.env == "prod"`:                     true,
		`steps.first.outcome == "recovered"`:                      true,
		`labels.a == labels.b`:                                    false,
		`labels.env.contains("prod")`:                             false,
		`labels.env.matches("(a*)*b")`:                            false,
		`labels.all(a, labels.all(b, labels.all(c, a + b != c)))`: false,
	} {
		env, err := c.env(signalbox.Number, true, nil)
		if err != nil {
			t.Fatal(err)
		}
		ast, issues := env.Compile(expr)
		if issues.Err() != nil {
			t.Fatal(issues.Err())
		}
		if got := surelyCheap(env, ast); got != want {
			t.Errorf("%s: got %t, want %t", expr, got, want)
		}
	}
}
