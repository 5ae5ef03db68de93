package fence

import (
	"context"
	"errors"
	"strings"
	"testing"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
)

// shelf is a target that compares and sets, in memory.
type shelf struct {
	version int
	value   string
	fence   Fence
	writes  int
	// before runs before each write arrives.
	before func()
	lost   bool // answers to writes are lost
}

func (s *shelf) look(context.Context) (shelf, error) { return *s, nil }

func (s *shelf) put(seen shelf, value string, f Fence) error {
	if s.before != nil {
		s.before()
	}
	if s.version != seen.version {
		return reach.ErrConflict
	}
	s.version, s.value, s.fence, s.writes = s.version+1, value, f, s.writes+1
	if s.lost {
		return errors.New("no answer in time")
	}
	return nil
}

func (s *shelf) write(a signalbox.Action, value string) error {
	_, err := Writing[shelf]{
		Name: "shelf", Look: s.look, Held: func(seen shelf) Fence { return seen.fence },
		Judge: func(seen shelf, _ bool) (receipt signalbox.Receipt, done bool, err error) {
			if why := seen.fence.Ahead(a); seen.fence.Action != a.ID && why != "" {
				return receipt, false, reach.Refused("%s", why)
			}
			return receipt, seen.fence.Action == a.ID, nil
		},
		Put: func(_ context.Context, seen shelf) (signalbox.Receipt, error) {
			return signalbox.Receipt{}, s.put(seen, value, Written(a, value, seen.value))
		},
	}.Do(context.Background())
	return err
}

func (s *shelf) seal(a signalbox.Action, t signalbox.Token) error {
	return Sealing[shelf]{
		Look: s.look, Held: func(seen shelf) (Fence, error) { return seen.fence, nil },
		Put: func(_ context.Context, seen shelf, f Fence) error { return s.put(seen, seen.value, f) },
	}.Do(context.Background(), a, t)
}

func isFailure(err error) bool {
	var failure *signalbox.Failure
	return errors.As(err, &failure)
}

// A write is done once, however often it is asked for and whatever changes beside
// it; what does not rest is left alone.
func TestWriting(t *testing.T) {
	a := signalbox.Action{ID: "a", Token: 10}
	s := &shelf{value: "x"}
	beside := 2
	s.before = func() {
		if beside > 0 {
			beside, s.version = beside-1, s.version+1
		}
	}
	for range 2 {
		if err := s.write(a, "y"); err != nil || s.value != "y" || s.writes != 1 {
			t.Errorf("%+v, %v", s, err)
		}
	}
	s = &shelf{before: func() { s.version++ }}
	if err := s.write(a, "y"); !isFailure(err) || s.version != attempts || s.writes != 0 {
		t.Errorf("a target that never rests: %+v, %v", s, err)
	}
	s = &shelf{before: func() { s.version++; s.fence = Fence{Token: 5, Action: "z"} }}
	if err := s.write(a, "y"); !isFailure(err) || !strings.Contains(err.Error(), "at the same time") || s.writes != 0 {
		t.Errorf("another's fence came: %+v, %v", s, err)
	}
	s = &shelf{lost: true}
	if err := s.write(a, "y"); err == nil || isFailure(err) {
		t.Errorf("a lost answer is no failure: %v", err)
	}
}

// A late write finds the seal, and the seal finds a write that was before it.
func TestSealing(t *testing.T) {
	a := signalbox.Action{ID: "a", Token: 10}
	s := &shelf{value: "x"}
	s.before = func() {
		s.before = nil
		if err := s.seal(a, 20); err != nil {
			t.Error(err)
		}
	}
	if err := s.write(a, "y"); !isFailure(err) || s.value != "x" {
		t.Errorf("late write: %+v, %v", s, err)
	}
	if p := s.fence.Unwritten(a); p.Phase != signalbox.NotStarted {
		t.Errorf("sealed: %+v", p)
	}
	if err := s.seal(a, 20); err != nil || s.writes != 1 {
		t.Errorf("again: %+v, %v", s, err)
	}
	if err := s.seal(a, 10); err == nil {
		t.Error("a token that is not above the action's")
	}
	s = &shelf{value: "x"}
	s.before = func() {
		s.before = nil
		if err := s.write(a, "y"); err != nil {
			t.Error(err)
		}
	}
	if err := s.seal(a, 20); err != nil || s.fence.Action != "a" || s.fence.Token != 10 {
		t.Errorf("its effect came first: %+v, %v", s, err)
	}
	s = &shelf{before: func() { s.version++ }}
	if err := s.seal(a, 20); !errors.Is(err, reach.ErrConflict) || s.version != attempts {
		t.Errorf("a target that never rests: %+v, %v", s, err)
	}
}

// What came after an action, as a store that went back in time has forgotten, is
// not sealed over: that the action was there before it must stay to be seen.
func TestSealKeepsWhatCameLater(t *testing.T) {
	a := signalbox.Action{ID: "a", Token: 10}
	for name, c := range map[string]struct {
		there  Fence
		writes int
	}{
		"taken back":          {Fence{Token: 15, Action: "a-undo", Value: "x"}, 0},
		"another's seal":      {Fence{Token: 15, Action: "older", Sealed: "b"}, 0},
		"what was there":      {Fence{Token: 5, Action: "older"}, 1},
		"a seal of its own":   {Fence{Token: 15, Sealed: "a"}, 1},
		"never written by us": {Fence{}, 1},
	} {
		s := &shelf{value: "x", fence: c.there}
		if err := s.seal(a, 20); err != nil || s.writes != c.writes {
			t.Errorf("%s: %d writes, %v; want %d", name, s.writes, err, c.writes)
		}
		a.Sealed = 20
		if p := s.fence.Unwritten(a); (p.Phase == signalbox.NotStarted) != (c.writes == 1) {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestUnwritten(t *testing.T) {
	for want, c := range map[string]struct {
		f      Fence
		sealed signalbox.Token
	}{
		"when it was sealed with token 30": {Fence{Token: 30, Sealed: "a"}, 30},
		"a later action, b, wrote over it": {Fence{Token: 30, Action: "b"}, 0},
		"its seal is gone":                 {Fence{Token: 5}, 30},
		"a late write may still come":      {Fence{Token: 5}, 0},
	} {
		p := c.f.Unwritten(signalbox.Action{ID: "a", Token: 10, Sealed: c.sealed})
		if certain := strings.HasPrefix(want, "when it was sealed"); !strings.Contains(p.Reason, want) || (p.Phase == signalbox.NotStarted) != certain {
			t.Errorf("got %+v, want %q", p, want)
		}
	}
}

// What an earlier attempt may still do is no failure of this one.
func TestInDoubt(t *testing.T) {
	failure := reach.Refused("no")
	for _, c := range []struct {
		a    signalbox.Action
		want bool
	}{
		{signalbox.Action{Stage: signalbox.Claimed}, true},
		{signalbox.Action{Stage: signalbox.Doubt}, false},
		{signalbox.Action{Stage: signalbox.Started}, false},
		{signalbox.Action{Stage: signalbox.Doubt, Sealed: 9}, true},
	} {
		if err := InDoubt(c.a, failure); isFailure(err) != c.want {
			t.Errorf("%+v: %v", c.a, err)
		}
	}
	if err := InDoubt(signalbox.Action{Stage: signalbox.Doubt}, nil); err != nil {
		t.Error(err)
	}
}
