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
//
// etcd streams what the member that is asked has, however far that lags behind.
// So one member is asked what is newest, which it answers by a quorum alone, and
// the same one for the copy; where it can't, the next.
func (s *Store) Snapshot(ctx context.Context) (store.Copy, error) {
	client, err := s.current()
	if err != nil {
		return store.Copy{}, fmt.Errorf("snapshot: %w", err)
	}
	var failed error
	for _, at := range client.Endpoints() {
		c, err := s.copyOf(clientv3.WithRequireLeader(ctx), client, at)
		if err == nil {
			return c, nil
		}
		failed = errors.Join(failed, fmt.Errorf("snapshot of %s: %w", at, mapped(ctx, err)))
		if ctx.Err() != nil {
			break
		}
	}
	return store.Copy{}, failed
}

// copyOf begins the copy of one member.
func (s *Store) copyOf(ctx context.Context, client *clientv3.Client, at string) (store.Copy, error) {
	one, done := client, func() error { return nil }
	if s.alone != nil {
		var err error
		if one, err = s.alone(at); err != nil {
			return store.Copy{}, err
		}
		done = one.Close
	}
	rev, err := s.newest(ctx, one)
	if err != nil {
		return store.Copy{}, errors.Join(err, done())
	}
	r, err := one.SnapshotWithVersion(ctx)
	if err != nil {
		return store.Copy{}, errors.Join(err, done())
	}
	return store.Copy{ReadCloser: &copying{r.Snapshot, done}, Revision: rev}, nil
}

// newest is the revision that the member has at the least, once it is as new as
// the store. A learner does not answer.
func (s *Store) newest(ctx context.Context, one *clientv3.Client) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	answer, err := one.Get(ctx, store.LeadPrefix, clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return answer.Header.Revision, nil
}

// copying ends the connection with the copy.
type copying struct {
	io.ReadCloser
	done func() error
}

func (c *copying) Close() error { return errors.Join(c.ReadCloser.Close(), c.done()) }

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
	c := store.Health{ID: hexID(list.Header.ClusterId), Alarms: strayAlarms(alarms.Alarms, list.Members)}
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
