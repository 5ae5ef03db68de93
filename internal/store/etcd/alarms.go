package etcd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/signalbox/signalbox/internal/store"
)

// lowerTimeout bounds one try to lower the alarms, the questions to the others
// included.
const lowerTimeout = 10 * time.Second

// lowerAlarms disarms the quota alarms that nobody else would: one holds up the
// writes of all, and etcd keeps it under the id of the member that raised it, so
// also in a copy, and after that member is gone. Who answers lowers its own. Who
// does not, and really lacks room, raises it anew at its next write.
func (e *Embedded) lowerAlarms(ctx context.Context, client *clientv3.Client) error {
	ctx, cancel := context.WithTimeout(ctx, lowerTimeout)
	defer cancel()
	raised, err := noSpaceAlarms(ctx, client)
	if err != nil {
		return err
	}
	list, err := client.MemberList(ctx)
	if err != nil {
		return fmt.Errorf("members: %w", err)
	}
	for _, a := range raised {
		may, err := e.mayLower(ctx, a, list.Members)
		if err != nil {
			return err
		}
		if !may {
			continue
		}
		if _, err := client.AlarmDisarm(ctx, &clientv3.AlarmMember{MemberID: a.MemberID, Alarm: a.Alarm}); err != nil {
			return fmt.Errorf("disarm the alarm of %s: %w", whose(a, list.Members), err)
		}
		e.opt.Log.Warn("the quota alarm was lowered", "of", whose(a, list.Members))
	}
	// etcd disarms what is not there without a word, so what is left is asked for.
	left, err := noSpaceAlarms(ctx, client)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		of := make([]string, len(left))
		for i, a := range left {
			of[i] = whose(a, list.Members)
		}
		return fmt.Errorf("no space: the quota alarm of %s is left: who answers lowers its own once it has room", strings.Join(of, ", "))
	}
	s := e.Status()
	e.opt.Log.Info("the store has room again", "db_bytes", s.DBSize, "quota_bytes", s.Quota)
	return e.look(ctx, client)
}

func noSpaceAlarms(ctx context.Context, client *clientv3.Client) ([]*pb.AlarmMember, error) {
	answer, err := client.AlarmList(ctx)
	if err != nil {
		return nil, fmt.Errorf("alarms: %w", err)
	}
	return slices.DeleteFunc(answer.Alarms, func(a *pb.AlarmMember) bool { return a.Alarm != pb.AlarmType_NOSPACE }), nil
}

// mayLower is asked once this member's own file has room.
func (e *Embedded) mayLower(ctx context.Context, a *pb.AlarmMember, members []*pb.Member) (bool, error) {
	i := memberAt(members, a.MemberID)
	if i < 0 || a.MemberID == e.Status().MemberID || e.opt.Cluster == nil {
		return true, nil
	}
	trip, err := transport.NewTransport(e.opt.Cluster.tlsInfo(), probeTimeout)
	if err != nil {
		return false, fmt.Errorf("alarms: %w", err)
	}
	defer trip.CloseIdleConnections()
	return e.health(ctx, trip, fromMember(members[i])) != healthy, nil
}

func memberAt(members []*pb.Member, id uint64) int {
	return slices.IndexFunc(members, func(m *pb.Member) bool { return m.ID == id })
}

// whose names the member of an alarm.
func whose(a *pb.AlarmMember, members []*pb.Member) string {
	i := memberAt(members, a.MemberID)
	if i < 0 {
		return hexID(a.MemberID) + " (no member)"
	}
	return fmt.Sprintf("%s (%s)", members[i].Name, hexID(a.MemberID))
}

// strayAlarms are those of no member, which no member's entry tells.
func strayAlarms(alarms []*pb.AlarmMember, members []*pb.Member) (stray []store.Alarm) {
	for _, a := range alarms {
		if a.Alarm != pb.AlarmType_NONE && memberAt(members, a.MemberID) < 0 {
			stray = append(stray, store.Alarm{ID: hexID(a.MemberID), Alarm: a.Alarm.String()})
		}
	}
	slices.SortFunc(stray, func(a, b store.Alarm) int { return strings.Compare(a.ID+a.Alarm, b.ID+b.Alarm) })
	return stray
}
