package argocd

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var moment = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

func deployed(id int64, revision string, hours int) entry {
	return entry{ID: id, Revision: revision, Deployed: moment.Add(-time.Duration(hours) * time.Hour)}
}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		name    string
		history []entry
		want    int64
		refused string
	}{
		{"the one before", []entry{deployed(1, "a", 90), deployed(2, "b", 50), deployed(3, "c", 1)}, 2, ""},
		{"the same again", []entry{deployed(1, "a", 90), deployed(2, "c", 50), deployed(3, "c", 1)}, 1, ""},
		{"too short", []entry{deployed(1, "a", 90), deployed(2, "b", 20), deployed(3, "c", 1)}, 1, ""},
		{"until another revision", []entry{deployed(1, "a", 90), deployed(2, "b", 30), deployed(3, "b", 10), deployed(4, "c", 1)}, 2, ""},
		{"taken back before", []entry{deployed(1, "a", 90), deployed(2, "b", 50), deployed(3, "a", 1)}, 0, "id 2 was followed by an older revision"},
		{"two sources", []entry{{ID: 1, Revisions: []string{"a", "x"}, Deployed: moment.Add(-90 * time.Hour)}, {ID: 2, Revisions: []string{"a", "y"}, Deployed: moment}}, 1, ""},
		{"no time", []entry{{ID: 1, Revision: "a"}, deployed(2, "b", 1)}, 0, "none of the 2 entries"},
		{"nothing", nil, 0, "its history is empty"},
		{"one", []entry{deployed(1, "a", 90)}, 0, "none of the 1 entries"},
	} {
		if e, _, refused := choose(c.history, 24*time.Hour); e.ID != c.want || (refused == "") != (c.refused == "") || !strings.Contains(refused, c.refused) {
			t.Errorf("%s: got id %d, refused %q", c.name, e.ID, refused)
		}
	}
}

func TestChooseHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var history []entry
		at := 0
		for id := range rapid.IntRange(0, 8).Draw(t, "entries") {
			at += rapid.IntRange(0, 40).Draw(t, "hours")
			history = append(history, deployed(int64(id+1), rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "revision"), 400-at))
		}
		got, present, refused := choose(history, 24*time.Hour)
		again, _, _ := choose(rapid.Permutation(history).Draw(t, "order"), 24*time.Hour)
		if got.ID != again.ID || (got.ID == 0) != (refused != "") {
			t.Fatalf("got %d and %d, refused %q", got.ID, again.ID, refused)
		}
		if got.ID != 0 && (got.revision() == present.revision() || got.ID >= present.ID) {
			t.Fatalf("went to %+v from %+v", got, present)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"metadata":{"name":"shop","namespace":"argocd","resourceVersion":"1"}}`))
	f.Add([]byte(`{"metadata":{"name":"shop","namespace":"argocd","resourceVersion":"1"},"spec":{"syncPolicy":{"automated":{}}},"status":{"history":[{"id":1}],"operationState":{"phase":"Running"}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		target := &target{spec: spec{Namespace: "argocd", Application: "shop"}}
		s, err := target.decode(raw)
		if err != nil {
			return
		}
		for _, move := range []string{moveSynced, movePrevious, moveTerminated, moveRestored} {
			if v := target.look(s, move, moment); len(v.Targets) != 1 || move == movePrevious && v.Refused == "" && v.sync == nil {
				t.Errorf("%s of %q: %+v", move, raw, v)
			}
		}
	})
}
