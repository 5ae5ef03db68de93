package app

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/signalbox/signalbox/detectors/rules"
	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/cluster/prometheusrule"
	"github.com/signalbox/signalbox/internal/config"
)

// ruleFeed is what a cluster's PrometheusRule resources say, for one inclusion
// of them, and which of it is in force. It outlives a reload that leaves the
// inclusion's resources the same.
//
// A resource that is changed takes the place of what it said before, whole. One
// that can't be read as rules changes nothing: what it said before goes on, and
// rulesHealth tells it. One that is gone ends its detectors; their
// incidents then end as expired, which is neither health nor silence: the
// journal and the page say that the detector is gone.
type ruleFeed struct {
	key    string // of the resources that it means
	source string // the cluster's name in the configuration
	feed   *prometheusrule.Feed
	stop   context.CancelFunc // nil: it was not begun

	mu        sync.Mutex
	read      bool
	resources map[string]*ruleResource // by NAMESPACE/NAME
}

// ruleResource is one resource.
type ruleResource struct {
	seen    string        // the version that was read last
	inForce bool          // rules are those of a version that was right
	rules   []config.Rule // in force
	refused string        // why the version that was read last is not in force; empty: it is
	over    string        // why its rules are not watched, though they are right
}

// fault says why the resource is not watched as it stands; "" when it is.
func (r *ruleResource) fault() string {
	if r.refused != "" {
		return r.refused
	}
	return r.over
}

// ruleFeed returns the feed of an inclusion: the one that runs, where there is
// one for the same resources.
func (d *daemon) ruleFeed(cfg *config.Config, f *config.RuleFiles) (*ruleFeed, error) {
	i := slices.IndexFunc(cfg.Sources, func(s *config.Source) bool { return s.Name == f.Cluster })
	settings, ok := cfg.Sources[i].Settings.(*cluster.Settings)
	if !ok {
		return nil, fmt.Errorf("%s: cluster: source %q is no connection to a cluster", f.Place, f.Cluster)
	}
	access, err := settings.Resolve(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("%s: source %q: %w", f.Place, f.Cluster, err)
	}
	namespaces := f.Namespaces
	if len(namespaces) == 0 {
		namespaces = settings.Namespaces
	}
	key := fmt.Sprintf("%q %+v %q %q", f.Cluster, access, namespaces, f.Selector)
	if known := d.feeds[key]; known != nil {
		return known, nil
	}
	return &ruleFeed{key: key, source: f.Cluster, resources: d.heirloom(f.Cluster), feed: prometheusrule.New(prometheusrule.Options{
		Access: access, Namespaces: namespaces, Selector: f.Selector, Agent: "signalbox",
	})}, nil
}

// heirloom is what a new feed has in force until it has read the resources
// itself: that of the one feed of the same cluster before it, whose connection
// or selection was changed.
func (d *daemon) heirloom(source string) map[string]*ruleResource {
	var before []*ruleFeed
	for _, f := range d.feeds {
		if f.source == source {
			before = append(before, f)
		}
	}
	kept := map[string]*ruleResource{}
	if len(before) != 1 {
		return kept
	}
	before[0].mu.Lock()
	defer before[0].mu.Unlock()
	for key, r := range before[0].resources {
		if r.inForce {
			kept[key] = &ruleResource{inForce: true, rules: r.rules}
		}
	}
	return kept
}

// fits forgets which resources were too many: it is found out anew.
func (f *ruleFeed) fits() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.resources {
		r.over = ""
	}
}

// take reads the resources; false when they say what they said.
func (f *ruleFeed) take(d *daemon) (changed bool) {
	list, read := f.feed.Resources()
	if !read {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	changed, f.read = !f.read, true
	there := map[string]bool{}
	for _, r := range list {
		key := r.Key()
		there[key] = true
		known := f.resources[key]
		if known == nil {
			known = &ruleResource{}
			f.resources[key] = known
		}
		if known.seen != r.Version {
			changed = true
			known.take(d, f.source, r)
		}
	}
	for key := range f.resources {
		if !there[key] {
			changed = true
			delete(f.resources, key)
			d.log.Info("a PrometheusRule is gone: its detectors end", "source", f.source, "resource", key)
		}
	}
	return changed
}

// take reads one version of a resource. Recording rules are left to Prometheus:
// what is theirs and ours often stands in one resource, which belongs to
// somebody else's chart.
func (r *ruleResource) take(d *daemon, source string, of prometheusrule.Resource) {
	r.seen, r.refused = of.Version, ""
	var placed []rules.Placed
	var problems []rules.Problem
	text, err := of.File()
	if err == nil {
		placed, problems = rules.Read(source+"/"+of.Key(), text)
	} else {
		problems = []rules.Problem{{Rule: err.Error()}}
	}
	recording := 0
	var wrong []string
	for _, p := range problems {
		switch {
		case p.Recording:
			recording++
		case p.Where != "":
			wrong = append(wrong, p.Where+": "+p.Rule)
		default:
			wrong = append(wrong, p.Rule)
		}
	}
	if len(wrong) > 0 {
		r.refused = fmt.Sprintf("%s: %s", of.Key(), wrong[0])
		if more := len(wrong) - 1; more > 0 {
			r.refused += fmt.Sprintf(" (and %d more)", more)
		}
		d.log.Error("a PrometheusRule is refused: what it said before goes on", "source", source, "resource", of.Key(), "problems", wrong, "in_force", len(r.rules))
		return
	}
	r.inForce, r.rules = true, make([]config.Rule, len(placed))
	for i, p := range placed {
		r.rules[i] = configRule(p)
	}
	d.log.Info("the rules of a PrometheusRule are put in force", "source", source, "resource", of.Key(), "alerting_rules", len(placed), "recording_rules_left_to_prometheus", recording)
}
