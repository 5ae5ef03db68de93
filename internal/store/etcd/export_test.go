package etcd

import (
	"context"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/signalbox/signalbox/internal/store"
)

// Why a leadership ended.
var (
	ErrDeadline = errDeadline
	ErrRevoked  = errRevoked
	ErrDeposed  = errDeposed
)

// PeerTLS is peerTLS.
var PeerTLS = peerTLS

// SetClock replaces the boot-time clock, before the first Lead.
func (s *Store) SetClock(clock func() time.Duration) { s.clock = clock }

// BootTime is bootTime.
func BootTime() time.Duration { return bootTime() }

func leader(ctx context.Context, t testing.TB, s *Store, role string) (*clientv3.Client, clientv3.LeaseID) {
	client, err := s.current()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Get(ctx, store.LeadPrefix+role)
	if err != nil || len(answer.Kvs) == 0 {
		t.Fatalf("the leader's key: %v", err)
	}
	return client, clientv3.LeaseID(answer.Kvs[0].Lease)
}

// RevokeLeader ends the lease of role's leader from the outside.
func RevokeLeader(t testing.TB, s *Store, role string) {
	client, lease := leader(t.Context(), t, s, role)
	if _, err := client.Revoke(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
}

// DeleteLeader deletes the key of role's leader, and leaves its lease.
func DeleteLeader(t testing.TB, s *Store, role string) {
	client, _ := leader(t.Context(), t, s, role)
	if _, err := client.Delete(t.Context(), store.LeadPrefix+role); err != nil {
		t.Fatal(err)
	}
}

// Clear deletes all keys, those of leaders too.
func Clear(t testing.TB, s *Store) {
	client, err := s.current()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Delete(t.Context(), "\x00", clientv3.WithFromKey()); err != nil {
		t.Fatal(err)
	}
}

// RaiseNoSpace raises the quota alarm under an id, as the member of that id does.
func RaiseNoSpace(t testing.TB, s *Store, id uint64) {
	client, err := s.current()
	if err != nil {
		t.Fatal(err)
	}
	raise := &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: id, Alarm: pb.AlarmType_NOSPACE}
	if _, err := pb.NewMaintenanceClient(client.ActiveConnection()).Alarm(t.Context(), raise); err != nil {
		t.Fatal(err)
	}
}

// LateAnswer is the answer to a keepalive of l that was sent just now.
func LateAnswer(l store.Leadership) {
	held := l.(*leadership)
	held.extend(held.s.clock())
}

// LongestElection is how long a member of several may see nobody lead before it
// stands for election, and what who was elected adds to each lease.
func LongestElection(c Cluster) (election, extension time.Duration) {
	cfg := clusterConfig(settings{Cluster: &c})
	extension = time.Duration(cfg.ElectionMs) * time.Millisecond
	return 2*extension - time.Duration(cfg.TickMs)*time.Millisecond, extension
}
