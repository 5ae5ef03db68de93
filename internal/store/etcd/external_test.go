package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/etcd"
	"github.com/signalbox/signalbox/test/servers"
)

// sessions are two that want one role of an etcd of three members: who has it
// commits under its fence, and whoever gets it must find the other without.
type sessions struct {
	t      *testing.T
	w      *writers
	mu     sync.Mutex
	leads  store.Leadership // the last that was given
	leader *etcd.Store
	given  int
}

// contend has one of them want the role again and again, until the test ends.
func (s *sessions) contend(ctx context.Context, name string, own *etcd.Store) {
	for ctx.Err() == nil {
		l, err := own.Lead(ctx, "engine")
		if err != nil {
			continue
		}
		s.mu.Lock()
		if was := s.leads; was != nil && (was.Context().Err() == nil || time.Now().Before(was.Deadline())) {
			s.t.Errorf("two lead at once: %s does, and the other until %v, %v", name, was.Deadline(), context.Cause(was.Context()))
		}
		s.leads, s.leader, s.given = l, own, s.given+1
		s.mu.Unlock()
		s.w.under(ctx, own, l)
	}
}

// under commits keys that did not exist, for as long as l lasts.
func (w *writers) under(ctx context.Context, s *etcd.Store, l store.Leadership) {
	for i := 0; ctx.Err() == nil && l.Context().Err() == nil; i++ {
		key := fmt.Sprintf("load/%d/%06d", l.Fence().Rev, i)
		_, err := s.Commit(ctx, store.Txn{Ifs: []store.Cond{{Key: key}, l.Fence()}, Puts: []store.Put{{Key: key, Value: []byte(key)}}})
		w.count(key, err)
	}
}

// onward waits until that many more commits are acknowledged.
func (s *sessions) onward(what string) {
	s.t.Helper()
	acked := s.w.acks()
	eventually(s.t, what, func() bool { return s.w.acks() > acked+100 })
}

// Of an external etcd of three its leader is killed, and later one member stands
// still, first one that follows and then the one that leads. One session leads at
// a time, commits go on, and none that was acknowledged is lost.
func TestExternalClusterLosesMembers(t *testing.T) {
	cluster := servers.EtcdOfThree(t)
	s := &sessions{t: t, w: &writers{acked: map[string]bool{}}}
	ctx, cancel := context.WithCancel(t.Context())
	var contending sync.WaitGroup
	t.Cleanup(func() { cancel(); contending.Wait() })
	o := etcd.Options{Endpoints: cluster.URLs(), CAFile: cluster.CA, CertFile: cluster.Cert, KeyFile: cluster.Key, TTL: 2 * time.Second}
	for _, name := range []string{"one", "two"} {
		own := mustDial(t, o)
		contending.Go(func() { s.contend(ctx, name, own) })
	}
	s.onward("a session leads")

	leader, _ := cluster.Leader()
	leader.Kill()
	s.onward("it goes on after the etcd's leader was killed")
	leader.Restart()
	_, others := cluster.Leader()
	others[0].Pause()
	s.onward("it goes on while a member stands still")
	others[0].Resume()
	leader, _ = cluster.Leader()
	leader.Pause()
	s.onward("it goes on while the etcd's leader stands still")
	leader.Resume()
	s.onward("it goes on with all three")
	s.handsOver()

	cancel()
	contending.Wait()
	for _, e := range cluster.Members {
		alone := o
		alone.Endpoints = []string{e.URL}
		s.w.wantAllIn(t, e.URL, mustDial(t, alone))
	}
	t.Logf("%d commits acknowledged, %d failed, led %d times", len(s.w.acked), s.w.failed, s.given)
}

// handsOver ends the lead in good order: its late commit is refused, and one of
// the two leads again.
func (s *sessions) handsOver() {
	s.t.Helper()
	s.mu.Lock()
	old, through, given := s.leads, s.leader, s.given
	s.mu.Unlock()
	if err := old.Resign(within(s.t)); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "one leads again", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.given > given
	})
	if _, err := through.Commit(within(s.t), fenced(old)); !errors.Is(err, store.ErrConflict) {
		s.t.Errorf("a Txn under the old fence = %v, want ErrConflict", err)
	}
	s.onward("the next one commits")
}
