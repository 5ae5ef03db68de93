package etcd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/signalbox/signalbox/internal/store"
)

const (
	// quiet is how long nothing was written for when a file may be
	// defragmented: meanwhile the member answers nothing.
	quiet = time.Second
	// defragEvery and defragTimeout bound that stop.
	defragEvery   = 15 * time.Minute
	defragTimeout = time.Minute
)

// upkeep looks at the member until ctx ends: history is compacted, a file that
// is mostly free is defragmented, and room is made when the quota is reached.
func (e *Embedded) upkeep(ctx context.Context, client *clientv3.Client) {
	tick := time.NewTicker(e.opt.UpkeepEvery)
	defer tick.Stop()
	var compactAt, defragAt time.Duration // on bootTime: not before
	var before store.Revision             // at the last compaction
	compactAt = bootTime() + e.opt.CompactEvery
	var room room
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := e.look(ctx, client)
		if err == nil && e.opt.Cluster != nil {
			err = e.promote(ctx, client)
		}
		switch now, s := bootTime(), e.Status(); {
		case err != nil:
		case s.NoSpace:
			err = e.underAlarm(ctx, client, &room)
		case now >= compactAt:
			compactAt = now + e.opt.CompactEvery
			// What is older than one interval is of use to nobody, and a start
			// reads all that is left: after a storm that would be gigabytes.
			err = e.compact(ctx, max(before, s.Revision-store.Revision(e.opt.Keep)))
			before = s.Revision
		case now >= defragAt && e.mostlyFree(s) && now-time.Duration(e.written.Load()) >= quiet && e.inTurn(time.Now()):
			defragAt = now + defragEvery
			err = e.defrag(ctx, client)
		}
		e.noteUpkeep(ctx, err)
	}
}

func (e *Embedded) noteUpkeep(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return // it ended, which is told elsewhere
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	var was string
	e.note(func(s *Status) { was, s.UpkeepError = s.UpkeepError, text })
	if err != nil && text != was {
		e.opt.Log.Error("upkeep of the store", "error", err)
	}
}

// look asks the member how it is.
func (e *Embedded) look(ctx context.Context, client *clientv3.Client) error {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	answer, err := client.Status(ctx, endpoint)
	if err != nil {
		return fmt.Errorf("status: %w", err)
	}
	noSpace := false
	for _, alarm := range answer.Errors {
		noSpace = noSpace || strings.Contains(alarm, pb.AlarmType_NOSPACE.String())
	}
	var was bool
	e.note(func(s *Status) {
		was, s.NoSpace = s.NoSpace, noSpace
		s.DBSize, s.DBInUse = answer.DbSize, answer.DbSizeInUse
		s.Revision = store.Revision(answer.Header.Revision)
		s.ClusterID, s.MemberID = answer.Header.ClusterId, answer.Header.MemberId
		s.Leader, s.Learner = answer.Leader, answer.IsLearner
		s.SeenAt = time.Now()
	})
	if noSpace && !was {
		e.opt.Log.Error("the store's quota is reached: writes are refused until there is room",
			"quota_bytes", e.opt.Quota, "db_bytes", answer.DbSize, "in_use_bytes", answer.DbSizeInUse)
	}
	return nil
}

// compact forgets the history before to, if there is any.
func (e *Embedded) compact(ctx context.Context, to store.Revision) error {
	if to <= e.Status().Compacted {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, defragTimeout)
	defer cancel()
	err := e.Compact(ctx, to)
	if err != nil && !isCompacted(err) { // by etcd's own compactor, or before a restart
		return err
	}
	e.note(func(s *Status) { s.Compacted, s.CompactedAt = to, time.Now() })
	return nil
}

// inTurn gives each member of a cluster a slot of its own, so that no two stop
// to defragment at once. A clock that is far off costs a turn, no more.
func (e *Embedded) inTurn(now time.Time) bool {
	if e.opt.Cluster == nil {
		return true
	}
	names := make([]string, len(e.opt.Cluster.Members))
	for i, p := range e.opt.Cluster.Members {
		names[i] = p.Name
	}
	slices.Sort(names)
	slot := now.Unix() / int64(2*defragTimeout/time.Second) % int64(len(names))
	return names[slot] == e.opt.Cluster.Member
}

func (e *Embedded) mostlyFree(s Status) bool {
	return s.DBSize > e.opt.DefragAbove && s.DBInUse < s.DBSize/2
}

// defrag writes the file anew without what is free. The member answers nothing
// meanwhile, about a second for each 100 MB (op-guide/maintenance).
func (e *Embedded) defrag(ctx context.Context, client *clientv3.Client) error {
	ctx, cancel := context.WithTimeout(ctx, defragTimeout)
	defer cancel()
	before, began := e.Status().DBSize, bootTime()
	if _, err := client.Defragment(ctx, endpoint); err != nil {
		return fmt.Errorf("defragment: %w", err)
	}
	e.note(func(s *Status) { s.DefraggedAt = time.Now() })
	if err := e.look(ctx, client); err != nil {
		return err
	}
	e.opt.Log.Info("the store was defragmented", "from_bytes", before, "to_bytes", e.Status().DBSize, "took", bootTime()-began)
	return nil
}

// room is the last try to make room.
type room struct {
	rev   store.Revision
	again time.Duration // on bootTime: not before, without a new revision
	err   error
}

// underAlarm compacts all history, makes room where that may help, and lowers the
// alarms once there is some.
func (e *Embedded) underAlarm(ctx context.Context, client *clientv3.Client, last *room) error {
	// Without a new revision there is nothing new to forget.
	if s, now := e.Status(), bootTime(); s.Revision > last.rev || now >= last.again {
		// Who raised the alarm may have led and be gone: then there is no quorum for a
		// moment, and this is tried again at the next look.
		if err := e.compact(ctx, s.Revision); err != nil {
			return err
		}
		last.rev, last.again = s.Revision, now+defragEvery
		last.err = e.makeRoom(ctx, client)
	}
	if last.err != nil {
		return last.err
	}
	return e.lowerAlarms(ctx, client) // at each look: who raised an alarm may be gone only now
}

// makeRoom defragments, and is content when a tenth of the quota is free. Until
// then the alarms stay, and deletions are still taken.
func (e *Embedded) makeRoom(ctx context.Context, client *clientv3.Client) error {
	// What a compaction frees counts as free with the next write only, and
	// writes are refused: a file that is written anew tells what is in use.
	if err := e.defrag(ctx, client); err != nil {
		return err
	}
	s := e.Status()
	if s.DBInUse >= s.Quota/10*9 {
		return fmt.Errorf("no space: %d bytes are in use of a quota of %d: delete, or raise the quota", s.DBInUse, s.Quota)
	}
	return nil
}
