package throttle

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/setting"
)

// Throttle is a limit: where it is, as one of configmap, redis and http, and the
// numbers that it may be set to.
type Throttle struct {
	// ConfigMap is the limit as a key of a ConfigMap.
	ConfigMap *setting.ConfigMap `yaml:"configmap,omitempty" json:"configmap,omitempty"`
	// Redis is the limit as a key of a Redis.
	Redis *setting.Redis `yaml:"redis,omitempty" json:"redis,omitempty"`
	// HTTP is the limit behind an HTTP API, which must have a place for the fence.
	HTTP *setting.HTTP `yaml:"http,omitempty" json:"http,omitempty"`
	// Positions are the limits by name: numbers, with the same unit after each or none: "100/min".
	Positions map[string]string `yaml:"positions" json:"positions" jsonschema:"required"`
	// Floor is the number below which no position may be, above zero.
	Floor float64 `yaml:"floor" json:"floor" jsonschema:"required"`
	// Expires is how long a throttle stands before it is lifted, or its owner asked.
	Expires kind.Duration `yaml:"expires,omitempty" json:"expires,omitempty" jsonschema:"default=2h"`
	// Every is how long the limit stays at each position on its way up.
	Every kind.Duration `yaml:"every,omitempty" json:"every,omitempty" jsonschema:"default=5m"`
}

func newThrottle() kind.Settings {
	return &Throttle{Expires: kind.Duration(2 * time.Hour), Every: kind.Duration(5 * time.Minute)}
}

// limit is a number with its unit.
type limit struct {
	name  string
	value float64
	unit  string
}

var number = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)([a-z%/ ]{0,20})$`)

// limits are the positions in order, from the lowest; wrong says what is wrong
// with which of them.
func limits(positions map[string]string) (list []limit, wrong error) {
	for _, name := range slices.Sorted(maps.Keys(positions)) {
		m := number.FindStringSubmatch(positions[name])
		if m == nil {
			return nil, fmt.Errorf("positions.%s must be a number, with a unit or without, got %q", name, positions[name])
		}
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return nil, fmt.Errorf("positions.%s must be a number, got %q", name, positions[name])
		}
		list = append(list, limit{name: name, value: v, unit: m[2]})
	}
	slices.SortFunc(list, func(a, b limit) int { return cmp.Compare(a.value, b.value) })
	for i := 1; i < len(list); i++ {
		a, b := list[i-1], list[i]
		switch {
		case a.unit != b.unit:
			return nil, fmt.Errorf("positions.%s and positions.%s must have one unit, got %q and %q", a.name, b.name, a.unit, b.unit)
		case a.value == b.value:
			return nil, fmt.Errorf("positions.%s and positions.%s must be different numbers", a.name, b.name)
		}
	}
	return list, nil
}

// target is the one backend that is given.
func (t *Throttle) target() (key string, s kind.Settings, n int) {
	if t.ConfigMap != nil {
		key, s, n = "configmap", t.ConfigMap, n+1
	}
	if t.Redis != nil {
		key, s, n = "redis", t.Redis, n+1
	}
	if t.HTTP != nil {
		t.HTTP.Complete()
		key, s, n = "http", t.HTTP, n+1
	}
	return key, s, n
}

// Validate checks the numbers, and where the limit is.
func (t *Throttle) Validate(fail kind.Fail) {
	key, s, n := t.target()
	if n != 1 {
		fail("", "must have exactly one of configmap, redis and http", nil)
	} else {
		s.Validate(func(path, rule string, value any) {
			if path != "" {
				path = "." + path
			}
			fail(key+path, rule, value)
		})
	}
	if t.ConfigMap != nil && len(t.ConfigMap.Restart) > 0 {
		fail("configmap.restart", "must not be given: a limit goes in steps, and each would restart them", len(t.ConfigMap.Restart))
	}
	if t.Floor <= 0 {
		fail("floor", "must be above 0: to stop everything is another switch, with approval", t.Floor)
	}
	list, err := limits(t.Positions)
	switch {
	case err != nil:
		fail("positions", err.Error(), nil)
	case len(list) < 2:
		fail("positions", "must be at least two, or there is nothing to lower", len(list))
	case list[0].value < t.Floor:
		fail("positions."+list[0].name, fmt.Sprintf("must not be below the floor (%g)", t.Floor), t.Positions[list[0].name])
	}
	if d := t.Expires.Std(); d < time.Minute || d > 7*24*time.Hour {
		fail("expires", "must be from 1m to 7d", t.Expires)
	}
	if d := t.Every.Std(); d < time.Second || d > 24*time.Hour {
		fail("every", "must be from 1s to 1d", t.Every)
	}
}

// moves are the positions to which a limit can be lowered: all but the highest.
func moves(s kind.Settings) (names []string) {
	t, ok := s.(*Throttle)
	if !ok {
		return nil
	}
	list, err := limits(t.Positions)
	if err != nil || len(list) == 0 {
		return nil
	}
	for _, l := range list[:len(list)-1] {
		names = append(names, l.name)
	}
	return names
}

// Kind is the remediator that throttles.
func Kind() kind.Remediator {
	return kind.Remediator{
		Name: "throttle", Keyword: "throttle",
		Tools: map[string]kind.Tool{"throttle": {Settings: newThrottle, Moves: moves}},
		Spec:  resolve,
		Open: func(env kind.Env) (signalbox.Remediator, error) {
			inner, err := setting.Open(env)
			if err != nil {
				return nil, err
			}
			return &remediator{inner: inner}, nil
		},
	}
}
