package kind_test

import (
	"errors"
	"maps"
	"testing"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// Two label sets have one id only where they are the same.
func TestSeriesIDTellsLabelsApart(t *testing.T) {
	text := rapid.StringMatching(`[a:1"]{0,3}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.MapOfN(text, text, 0, 3).Draw(t, "a"), rapid.MapOfN(text, text, 0, 3).Draw(t, "b")
		if got := kind.SeriesID(a) == kind.SeriesID(b); got != maps.Equal(a, b) {
			t.Fatalf("%q and %q: the same id is %t", a, b, got)
		}
	})
}

// The id is on record with each incident: it never changes.
func TestSeriesIDIsStable(t *testing.T) {
	if got := kind.SeriesID(map[string]string{"cluster": "eu", "env": "prod"}); got != "e92ccc9f9ebb6eba729977d820ccfdbc" {
		t.Error(got)
	}
}

func TestKept(t *testing.T) {
	all := map[string]string{"__name__": "lag", "cluster": "eu", "env": "prod"}
	for _, c := range []struct {
		configured []string
		want       map[string]string
	}{
		{nil, map[string]string{"cluster": "eu", "env": "prod"}},
		{[]string{"env", "absent"}, map[string]string{"env": "prod"}},
	} {
		common := kind.Common{Labels: c.configured}
		if got := common.Kept(all); !maps.Equal(got, c.want) {
			t.Errorf("%q: got %q", c.configured, got)
		}
	}
	if len(all) != 3 {
		t.Error("the series' own labels were changed")
	}
}

func TestFaultyAndUnknown(t *testing.T) {
	for want, a := range map[string]signalbox.Answer{
		"":                                      {},
		"oops":                                  {Err: errors.New("oops")},
		"the answer may be partial: a shard is": {Warnings: []string{"a shard is"}},
	} {
		if got := kind.Faulty(a); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	r := kind.Unknown(signalbox.Reading{Subject: "db/eu", Condition: signalbox.Breached, Value: 3, HasValue: true}, "it is gone")
	if r.Condition != signalbox.Unknown || r.HasValue || r.Value != 0 || r.Reason != "it is gone" || r.Summary != "db/eu: unknown, it is gone" {
		t.Errorf("got %+v", r)
	}
}
