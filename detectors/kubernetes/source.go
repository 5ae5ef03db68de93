package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
)

// firstWait is how long an answer waits for the first lists: what is asked
// right after a start is answered, and doesn't begin as Unknown.
const firstWait = 5 * time.Second

// Source watches one cluster. It implements signalbox.Watcher and
// signalbox.Clock, and is safe for concurrent use. Its errors hold no
// credentials and no address.
type Source struct {
	name       string
	namespaces []string // sorted; none: all
	stale      time.Duration
	now        func() time.Time
	clients    *clients

	mu      sync.Mutex
	asked   map[string]*asked // by the question's text
	feeds   map[feedKey]*feed
	changed func(...signalbox.Question) // nil: no watch is under way
}

type feedKey struct{ kind, namespace string }

func open(name string, s *cluster.Settings, env kind.Env) (*Source, error) {
	access, err := s.Resolve(env.ConfigDir)
	if err != nil {
		return nil, err
	}
	src := &Source{
		name: name, namespaces: slices.Sorted(slices.Values(s.Namespaces)), stale: s.StaleAfter.Std(), now: env.Now,
		asked: map[string]*asked{}, feeds: map[feedKey]*feed{},
	}
	src.clients = &clients{access: access, agent: env.Agent, most: maxAnswer, clock: &clock{now: env.Now}}
	return src, nil
}

// Origin names who measures: the cluster.
func (s *Source) Origin() string { return "kubernetes:" + s.name }

// Skew is how far the API server's clock was ahead of ours in its last answer,
// to about a second; false: not measured yet.
func (s *Source) Skew() (time.Duration, bool) {
	return time.Duration(s.clients.clock.skew.Load()), s.clients.clock.seen.Load()
}

// scope are the namespaces that a detector sees which lists some, or none.
func (s *Source) scope(listed []string) ([]string, error) {
	if len(listed) == 0 {
		return s.namespaces, nil
	}
	for _, n := range listed {
		if len(s.namespaces) > 0 && !slices.Contains(s.namespaces, n) {
			return nil, fmt.Errorf("namespace %s is not among those of source %s (%s)", n, s.name, strings.Join(s.namespaces, ", "))
		}
	}
	return slices.Sorted(slices.Values(listed)), nil
}

// follow puts a question under watch. Call it before Watch.
func (s *Source) follow(text string) error {
	in, err := parse(text)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked[text] != nil {
		return nil
	}
	a := &asked{inquiry: in, question: signalbox.Question{Source: s.name, Query: text}, suspects: map[id]*object{}}
	for _, r := range in.resources {
		for _, n := range s.spread(r, in.Namespaces) {
			f := s.feed(r, n)
			f.readers = append(f.readers, a)
			a.feeds = append(a.feeds, f)
		}
	}
	s.asked[text] = a
	return nil
}

// spread are the namespaces of the watches that a question needs: each one
// where the source lists them, so that a Role in each is enough.
func (s *Source) spread(r resource, listed []string) []string {
	if r.global || len(s.namespaces) == 0 {
		return []string{""}
	}
	return listed
}

func (s *Source) feed(r resource, namespace string) *feed {
	key := feedKey{r.kind, namespace}
	if s.feeds[key] == nil {
		s.feeds[key] = newFeed(s, r, namespace)
	}
	return s.feeds[key]
}

// alter changes what is remembered, and tells what answers it changed.
func (s *Source) alter(f func() []signalbox.Question) error {
	s.mu.Lock()
	qs, tell := f(), s.changed
	s.mu.Unlock()
	if tell != nil && len(qs) > 0 {
		tell(qs...)
	}
	return nil
}

// Watch keeps the watches until ctx ends.
func (s *Source) Watch(ctx context.Context, changed func(...signalbox.Question)) error {
	s.mu.Lock()
	if s.changed != nil {
		s.mu.Unlock()
		return errors.New("the cluster is watched already")
	}
	s.changed = changed
	feeds := make([]*feed, 0, len(s.feeds))
	for _, f := range s.feeds {
		feeds = append(feeds, f)
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.changed = nil
		s.mu.Unlock()
	}()
	var running sync.WaitGroup
	for _, f := range feeds {
		running.Go(func() { f.run(ctx) })
	}
	<-ctx.Done()
	running.Wait()
	s.clients.close()
	return ctx.Err()
}

// Ask answers from what is remembered. Where the first list has not come yet,
// it waits for it a little.
func (s *Source) Ask(ctx context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	ctx, cancel := context.WithTimeout(ctx, firstWait)
	defer cancel()
	answers := make([]signalbox.Answer, len(qs))
	for i, q := range qs {
		answers[i] = s.answer(ctx, q, at)
	}
	return answers
}

func (s *Source) answer(ctx context.Context, q signalbox.Question, at time.Time) signalbox.Answer {
	answer := signalbox.Answer{Question: q, At: at}
	s.mu.Lock()
	a := s.asked[q.Query]
	s.mu.Unlock()
	if a == nil {
		answer.Err = errors.New("the question is of no detector that is watched for")
		return answer
	}
	for _, f := range a.feeds { // they are never changed
		select {
		case <-f.heard:
		case <-ctx.Done():
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var seen time.Time
	for _, f := range a.feeds {
		if why := f.doubt(at, s.stale); why != "" {
			answer.Err = errors.New(why)
			return answer
		}
		if seen.IsZero() || f.seen.Before(seen) {
			seen = f.seen
		}
	}
	answer.Samples = a.samples(at, seen)
	return answer
}
