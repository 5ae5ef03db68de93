package kubernetes

import (
	"cmp"
	"maps"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// asked is one question under watch: what it costs to answer, and to notice a
// change, follows the objects that have a symptom, not those that exist. It is
// guarded by its source's lock.
type asked struct {
	*inquiry
	question signalbox.Question
	feeds    []*feed
	covered  int // objects that the question is about
	suspects map[id]*object
}

// look takes in that an object was replaced: old or now is nil where it came
// or went. It reports whether the answer may have changed.
func (a *asked) look(key id, old, now *object) bool {
	if a.covers(old) {
		a.covered--
	}
	if a.covers(now) {
		a.covered++
	}
	was, is := a.suspects[key] != nil, a.covers(now) && a.concerns(now)
	if !is {
		delete(a.suspects, key)
		return was
	}
	a.suspects[key] = now
	return !was || old == nil || !slices.Equal(old.symptoms, now.symptoms)
}

// fill begins anew from all that the feeds hold.
func (a *asked) fill() {
	clear(a.suspects)
	a.covered = 0
	for _, f := range a.feeds {
		for key, o := range f.objects {
			a.look(key, nil, o)
		}
	}
}

// samples begin with the one that says of how many objects they are; then come
// the objects that are ill at a moment, the worst first, with the value 1, and
// those that are not well yet, with 0. seen is when all of them were seen.
func (a *asked) samples(at, seen time.Time) []signalbox.Sample {
	type found struct {
		rank   int
		key    id
		sample signalbox.Sample
	}
	over := a.over()
	var list []found
	for key, o := range a.suspects {
		x := found{key: key, sample: signalbox.Sample{Value: 1, At: seen}}
		s, is := a.ill(o, at)
		if x.rank = a.rank[s.reason]; !is {
			if s, is = a.held(o); !is {
				continue
			}
			x.rank, x.sample.Value = len(a.rank), 0
		}
		if o.created.Before(over[o.workload()]) {
			continue
		}
		x.sample.Labels = o.describe(s)
		list = append(list, x)
	}
	slices.SortFunc(list, func(x, y found) int { return cmp.Or(cmp.Compare(x.rank, y.rank), x.key.compare(y.key)) })
	samples := []signalbox.Sample{{Labels: map[string]string{labelWhat: whatScope}, Value: float64(a.covered), At: seen}}
	for _, x := range list {
		samples = append(samples, x.sample)
	}
	return samples
}

// held returns a symptom that keeps the object from being well.
func (a *asked) held(o *object) (symptom, bool) {
	i := slices.IndexFunc(o.symptoms, a.holds)
	if i < 0 {
		return symptom{}, false
	}
	return o.symptoms[i], true
}

// workload identifies what an object belongs to.
func (o *object) workload() id { return id{o.owner.kind, o.namespace, o.owner.name} }

// over tells for each CronJob when the newest of its runs that completed was
// created: what failed before it is over.
func (a *asked) over() map[id]time.Time {
	if a.Watch != "jobs" {
		return nil
	}
	newest := map[id]time.Time{}
	for _, o := range a.suspects {
		for _, s := range o.symptoms {
			if s.reason == complete && o.created.After(newest[o.workload()]) {
				newest[o.workload()] = o.created
			}
		}
	}
	return newest
}

// The labels of a sample, and so of an incident.
const (
	labelNamespace = "namespace"
	labelWorkload  = "workload"
	labelKind      = "workload_kind"
	labelReason    = "reason"
	labelContainer = "container"
	labelNode      = "node"
	labelObject    = "object"
)

// Labels between source and detector, which no incident has.
const (
	labelWhat  = "what"
	whatScope  = "scope" // its value is how many objects the question is about
	labelSince = "since" // RFC 3339
)

// describe names an ill object; what it doesn't have is left out.
func (o *object) describe(s symptom) map[string]string {
	all := map[string]string{
		labelNamespace: o.namespace, labelWorkload: o.owner.name, labelKind: o.owner.kind, labelReason: s.reason,
		labelContainer: s.container, labelNode: o.node, labelObject: o.name, labelSince: s.at.UTC().Format(time.RFC3339),
	}
	maps.DeleteFunc(all, func(_, v string) bool { return v == "" })
	return all
}
