package etcd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/signalbox/signalbox/internal/store"
)

// A first start waits for those whom --cluster.initial-members names (first.go).
// A member whose list lacks others would, without its disk, begin a store beside
// theirs: it must be told before that.

// unlisted are the members that the flag lacks, as its entries; of one that has
// not started yet its address alone.
func (c *Cluster) unlisted(members []*etcdserverpb.Member) (entries []string) {
	for _, m := range members {
		one := fromMember(m)
		if slices.ContainsFunc(c.Members, func(p Peer) bool { return strings.EqualFold(p.Address, one.Address) }) {
			continue
		}
		entry := "https://" + one.Address
		if one.Name != "" {
			entry = one.Name + "=" + entry
		}
		entries = append(entries, entry)
	}
	slices.Sort(entries)
	return entries
}

// noteMembers remembers who the members are, and complains once of each change
// for the worse.
func (e *Embedded) noteMembers(members []*etcdserverpb.Member) {
	lacks := e.opt.Cluster.unlisted(members)
	var was []string
	e.note(func(s *Status) {
		was, s.Unlisted = s.Unlisted, lacks
		s.Members = len(members)
	})
	if len(lacks) > 0 && !slices.Equal(was, lacks) {
		e.opt.Log.Error("--cluster.initial-members lacks members of the store's cluster: without its disk, and without --cluster.join, this member could begin a store of its own beside them; restart it with all of them",
			"has", e.opt.Cluster.names(), "lacks", strings.Join(lacks, ","))
	}
}

// mayGrow refuses a further member while the asked one could not wait for those
// that there are: once it is added, they are a quorum without the asked one.
func (e *Embedded) mayGrow(members []*etcdserverpb.Member) error {
	lacks := e.opt.Cluster.unlisted(members)
	if len(lacks) == 0 {
		return nil
	}
	return fmt.Errorf("%w: --cluster.initial-members of %s has %s, and lacks %s, which is a member: restart it with the whole list first, the new member's entry too",
		ErrMembers, e.opt.Cluster.Member, e.opt.Cluster.names(), strings.Join(lacks, ","))
}

// Health is that of Store, and what this member's flags lack.
func (e *Embedded) Health(ctx context.Context) (store.Health, error) {
	h, err := e.Store.Health(ctx)
	h.Unlisted = e.Status().Unlisted
	return h, err
}
