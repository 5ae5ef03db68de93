package etcd

import (
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox/internal/store"
)

// Status is how the embedded member is, as last seen. Sizes are in bytes, times
// are wall times, and zero where it did not happen yet.
type Status struct {
	Up       bool
	Since    time.Time // when Up last changed
	PID      int
	RSS      int64 // resident memory of the member's process; 0 where unknown
	Starts   int   // how often the member came up
	Exits    int   // how often it ended without being asked to
	LastExit string
	ExitedAt time.Time

	DBSize   int64 // of the file
	DBInUse  int64 // what of it is not free
	Quota    int64
	NoSpace  bool // the alarm is raised: writes are refused until there is room
	Revision store.Revision

	Compacted   store.Revision // the last revision compacted to by upkeep
	CompactedAt time.Time
	DefraggedAt time.Time
	SeenAt      time.Time // when the member last said all this
	UpkeepError string    // of the last look, empty when all was done

	ClusterID, MemberID uint64 // etcd's; another ClusterID is another store

	Waits   string // what of its cluster the member waits for before it serves; empty: nothing
	Forming bool   // it never was up: its cluster may be at its first start
	Leader  uint64 // member that leads the cluster; 0: none that this one sees
	Learner bool   // it has no vote yet: it still catches up
	Members int    // of its cluster; 1 where it is alone
	// Unlisted are the members that its --cluster.initial-members lack, as entries
	// of that: without its disk it could begin a store beside theirs.
	Unlisted []string
}

// Leads reports whether this member leads its cluster.
func (s *Status) Leads() bool { return s.Leader != 0 && s.Leader == s.MemberID }

// Status returns the member's state as last seen.
func (e *Embedded) Status() Status {
	e.mu.Lock()
	s := e.status
	e.mu.Unlock()
	if s.PID != 0 {
		s.RSS = residentBytes(s.PID)
	}
	return s
}

func (e *Embedded) note(change func(*Status)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.status)
}

// turn records that the member came up or went down, and tells.
func (e *Embedded) turn(up bool, reason string) {
	e.mu.Lock()
	was := e.status.Up
	e.status.Up = up
	if up {
		e.status.Waits, e.status.Forming = "", false
	}
	if was != up {
		e.status.Since = time.Now()
		close(e.turned)
		e.turned = make(chan struct{})
	}
	e.mu.Unlock()
	if was != up {
		e.opt.OnChange(up, reason)
	}
}

// residentBytes reads /proc/PID/statm (proc(5)): its second figure is pages.
func residentBytes(pid int) int64 {
	statm, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	if figures := strings.Fields(string(statm)); len(figures) > 1 {
		pages, _ := strconv.ParseInt(figures[1], 10, 64)
		return pages * int64(os.Getpagesize())
	}
	return 0
}
