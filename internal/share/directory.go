package share

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/store"
)

// peerPrefix holds each replica's address and key, which it puts there at each
// start.
const peerPrefix = "peer/"

// peer is what a replica says of itself in the store.
type peer struct {
	Replica string `json:"replica"`
	Address string `json:"address"`
	Print   string `json:"fingerprint"` // SHA-256 of its certificate, in hex
}

func peerKey(replica string) string { return peerPrefix + signalbox.KeyPart(replica) }

const (
	retryFollow = time.Second
	storeWait   = 5 * time.Second
)

// follow keeps the connections and the assignment as the store has them. While
// the store is away they stay as they were.
func (s *Share) follow(ctx context.Context) {
	defer s.connect(ctx, nil, nil)
	for ctx.Err() == nil {
		if err := s.followOnce(ctx); err != nil && ctx.Err() == nil {
			s.o.Log.Debug("who shares the asking is not known", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryFollow):
		}
	}
}

// followOnce reads who is there whenever that changes, until a watch ends.
func (s *Share) followOnce(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rev, err := s.look(ctx)
	if err != nil {
		return err
	}
	peers, err := s.at.Store.Watch(ctx, peerPrefix, rev)
	if err != nil {
		return err
	}
	present, err := s.at.Store.Watch(ctx, s.at.Presence, rev)
	if err != nil {
		return err
	}
	for {
		var b store.Batch
		var ok bool
		select {
		case b, ok = <-peers:
		case b, ok = <-present:
		}
		if !ok || b.Err != nil {
			return b.Err
		}
		if _, err := s.look(ctx); err != nil {
			return err
		}
	}
}

// look reads who is there, says where this one is, and connects to the others.
func (s *Share) look(ctx context.Context) (store.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	peers, rev, err := s.peers(ctx)
	if err != nil {
		return 0, err
	}
	if self := (peer{Replica: s.o.Replica, Address: s.at.Address, Print: s.id.print}); peers[s.o.Replica] != self {
		value, err := json.Marshal(self)
		if err != nil {
			return 0, err
		}
		if _, err := s.at.Store.Commit(ctx, store.Txn{Puts: []store.Put{{Key: peerKey(s.o.Replica), Value: value}}}); err != nil {
			return 0, fmt.Errorf("say where this replica answers: %w", err)
		}
	}
	present, err := s.at.Present(ctx)
	if err != nil {
		return 0, err
	}
	s.connect(ctx, peers, present)
	return rev, nil
}

func (s *Share) peers(ctx context.Context) (map[string]peer, store.Revision, error) {
	kvs, rev, err := s.at.Store.List(ctx, peerPrefix)
	if err != nil {
		return nil, 0, fmt.Errorf("where the other replicas answer: %w", err)
	}
	peers := map[string]peer{}
	for _, kv := range kvs {
		var p peer
		if err := json.Unmarshal(kv.Value, &p); err != nil || peerKey(p.Replica) != kv.Key {
			s.o.Log.Warn("where a replica answers can't be read", "key", kv.Key, "error", err)
			continue
		}
		peers[p.Replica] = p
	}
	return peers, rev, nil
}

// known reports whether the store names a certificate as a replica's.
func (s *Share) known(ctx context.Context, print string) bool {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	peers, _, err := s.peers(ctx)
	if err != nil {
		s.o.Log.Warn("a replica that connects is not known: the store does not answer", "error", err)
		return false
	}
	for _, p := range peers {
		if p.Print == print {
			return true
		}
	}
	return false
}

// connect keeps a connection to each other replica that is present, and
// spreads the asking over those with the configuration of this one.
func (s *Share) connect(ctx context.Context, peers map[string]peer, present map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, l := range s.links {
		if _, there := present[name]; !there || peers[name] != l.to {
			l.end()
			delete(s.links, name)
		}
	}
	among, config := []*link{}, s.o.Config()
	for name, has := range present {
		p, known := peers[name]
		if name == s.o.Replica || !known {
			continue
		}
		l := s.links[name]
		if l == nil {
			l = s.newLink(context.WithoutCancel(ctx), p)
			s.links[name] = l
		}
		if has == config {
			among = append(among, l)
		}
	}
	s.among.Store(&among)
	s.metrics.replicas.Set(float64(len(s.ready()) + 1))
}
