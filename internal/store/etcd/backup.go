package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/signalbox/signalbox/internal/store"
)

// Snapshot streams a consistent copy of the whole store, which ends with its
// own SHA-256 (etcd's form: any etcdutl reads it too). Copying it by sealed.Copy
// notices a copy that is cut short. ctx bounds all of it.
func (s *Store) Snapshot(ctx context.Context) (io.ReadCloser, error) {
	client, err := s.current()
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	r, err := client.SnapshotWithVersion(ctx)
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", mapped(ctx, err))
	}
	return r.Snapshot, nil
}

// Health asks each member how it is. One that does not answer within the call's
// time says why; an error is that nobody can say who the members are.
func (s *Store) Health(ctx context.Context) (store.Health, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	client, err := s.current()
	if err != nil {
		return store.Health{}, fmt.Errorf("members: %w", err)
	}
	list, err := client.MemberList(ctx)
	if err != nil {
		return store.Health{}, fmt.Errorf("members: %w", mapped(ctx, err))
	}
	alarms, err := client.AlarmList(ctx)
	if err != nil {
		return store.Health{}, fmt.Errorf("alarms: %w", mapped(ctx, err))
	}
	c := store.Health{ID: hexID(list.Header.ClusterId)}
	said := map[uint64]*clientv3.StatusResponse{}
	var silent error
	for _, at := range client.Endpoints() {
		st, err := statusOf(ctx, client, at)
		if err != nil {
			silent = errors.Join(silent, err)
			continue
		}
		said[st.Header.MemberId] = st
		c.Revision = max(c.Revision, st.Header.Revision)
	}
	for _, m := range list.Members {
		c.Members = append(c.Members, describe(m, said[m.ID], silent, alarms.Alarms))
	}
	return c, nil
}

// statusOf leaves the others time, where one member does not answer.
func statusOf(ctx context.Context, client *clientv3.Client, at string) (*clientv3.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return client.Status(ctx, at)
}

func describe(m *pb.Member, st *clientv3.StatusResponse, silent error, alarms []*pb.AlarmMember) store.Server {
	out := store.Server{ID: hexID(m.ID), Name: m.Name, Peers: m.PeerURLs, Clients: m.ClientURLs, Learner: m.IsLearner}
	for _, a := range alarms {
		if a.MemberID == m.ID && a.Alarm != pb.AlarmType_NONE {
			out.Alarms = append(out.Alarms, a.Alarm.String())
		}
	}
	if st == nil {
		out.Error = "it is not among the endpoints that were given"
		if silent != nil {
			out.Error = silent.Error()
		}
		return out
	}
	out.Leader, out.Version = st.Leader == m.ID, st.Version
	out.DBSize, out.DBInUse, out.Quota = st.DbSize, st.DbSizeInUse, st.DbSizeQuota
	return out
}

func hexID(id uint64) string { return strconv.FormatUint(id, 16) }
