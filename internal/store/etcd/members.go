package etcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/signalbox/signalbox/internal/store"
)

// Errors of changes of the membership.
var (
	// ErrAlone: the member is not one of a cluster.
	ErrAlone = errors.New("the store is of one node: it was started without --cluster.initial-members")
	// ErrMembers: the change can't be made, whoever asks for it.
	ErrMembers = errors.New("members")
)

// probeTimeout bounds the question whether a member answers.
const probeTimeout = 2 * time.Second

// healthy is the health of a member that answers.
const healthy = "ok"

// Members lists the cluster's members, and asks each how it is.
func (e *Embedded) Members(ctx context.Context) (store.Membership, error) {
	c := e.opt.Cluster
	if c == nil {
		return store.Membership{}, ErrAlone
	}
	list := store.Membership{Cluster: c.Name}
	client, err := e.current()
	if err != nil {
		for _, p := range c.Members {
			list.Members = append(list.Members, store.Member{Name: p.Name, Address: p.Address, Self: p.Name == c.Member})
		}
		return list, e.probe(ctx, list.Members)
	}
	answer, quorum, err := memberList(ctx, client, e.timeout)
	if err != nil {
		return list, err
	}
	list.Quorum, list.Unlisted = quorum, c.unlisted(answer)
	s := e.Status()
	for _, m := range answer {
		one := fromMember(m)
		one.Leader, one.Self = m.ID == s.Leader, m.ID == s.MemberID
		list.Members = append(list.Members, one)
	}
	slices.SortFunc(list.Members, func(a, b store.Member) int { return strings.Compare(a.Name+a.Address, b.Name+b.Address) })
	return list, e.probe(ctx, list.Members)
}

func fromMember(m *etcdserverpb.Member) store.Member {
	one := store.Member{Name: m.Name, ID: strconv.FormatUint(m.ID, 16), Learner: m.IsLearner}
	for _, u := range m.PeerURLs {
		one.Address = strings.TrimPrefix(u, "https://")
	}
	return one
}

// memberList asks the cluster, or where it has no quorum this member alone.
func memberList(ctx context.Context, client *clientv3.Client, within time.Duration) (list []*etcdserverpb.Member, quorum bool, err error) {
	first, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	answer, err := client.MemberList(first)
	if err == nil {
		return answer.Members, true, nil
	}
	second, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if answer, err = client.MemberList(second, clientv3.WithSerializable()); err != nil {
		return nil, false, fmt.Errorf("members: %w", mapped(second, err))
	}
	return answer.Members, false, nil
}

// probe fills in each member's health, of all at once.
func (e *Embedded) probe(ctx context.Context, members []store.Member) error {
	trip, err := transport.NewTransport(e.opt.Cluster.tlsInfo(), probeTimeout)
	if err != nil {
		return fmt.Errorf("members: %w", err)
	}
	defer trip.CloseIdleConnections()
	var asked sync.WaitGroup
	for i := range members {
		asked.Go(func() { members[i].Health = e.health(ctx, trip, members[i]) })
	}
	asked.Wait()
	return nil
}

func (e *Embedded) health(ctx context.Context, trip http.RoundTripper, m store.Member) string {
	if m.Self {
		if s := e.Status(); !s.Up {
			return "waits for " + s.Waits
		}
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+m.Address+"/version", http.NoBody)
	if err != nil {
		return err.Error()
	}
	answer, err := trip.RoundTrip(ask)
	if err != nil {
		return "does not answer: " + err.Error()
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "answers " + answer.Status
	}
	return healthy
}

// AddMember lets a member at an address join, as a learner: it has no vote, and
// so costs no quorum, until it has caught up.
func (e *Embedded) AddMember(ctx context.Context, name, address string) (store.Member, error) {
	client, list, err := e.toChange(ctx)
	if err != nil {
		return store.Member{}, err
	}
	if err := e.mayAdd(list, name, address); err != nil {
		return store.Member{}, err
	}
	ctx, cancel := e.bound(ctx)
	defer cancel()
	answer, err := client.MemberAddAsLearner(ctx, []string{"https://" + address})
	if err != nil {
		return store.Member{}, changeRefused(ctx, "add "+name, err)
	}
	e.opt.Log.Warn("a member may join the store's cluster", "member", name, "address", address, "id", strconv.FormatUint(answer.Member.ID, 16))
	added := fromMember(answer.Member)
	added.Name = name
	return added, nil
}

// CheckAdd says whether AddMember would be refused, as things are.
func (e *Embedded) CheckAdd(ctx context.Context, name, address string) error {
	_, list, err := e.toChange(ctx)
	if err != nil {
		return err
	}
	return e.mayAdd(list, name, address)
}

func (e *Embedded) mayAdd(list []*etcdserverpb.Member, name, address string) error {
	if !goodName.MatchString(name) {
		return fmt.Errorf("%w: a name must be letters, digits, '.', '_' and '-', at most 63, got %q", ErrMembers, name)
	}
	if _, err := ParseAddress("https://" + address); err != nil {
		return fmt.Errorf("%w: %w", ErrMembers, err)
	}
	if host, _, _ := net.SplitHostPort(address); !e.opt.Cluster.allows(host) {
		return fmt.Errorf("%w: the members would refuse the certificate of host %s: restart them with it in --cluster.allowed-hostnames first, which has %s",
			ErrMembers, host, strings.Join(e.opt.Cluster.AllowedHostnames, ", "))
	}
	for _, m := range list {
		if one := fromMember(m); one.Name == name || one.Address == address {
			return fmt.Errorf("%w: %q at %s is a member: remove it first", ErrMembers, one.Name, one.Address)
		}
	}
	return e.mayGrow(list)
}

// RemoveMember ends a member's part in the cluster. Its data is of no use
// after that. Where it has not started yet, its address is its name.
func (e *Embedded) RemoveMember(ctx context.Context, name string) (store.Member, error) {
	client, list, err := e.toChange(ctx)
	if err != nil {
		return store.Member{}, err
	}
	m, err := e.mayRemove(list, name)
	if err != nil {
		return store.Member{}, err
	}
	ctx, cancel := e.bound(ctx)
	defer cancel()
	if _, err := client.MemberRemove(ctx, m.ID); err != nil {
		return store.Member{}, changeRefused(ctx, "remove "+name, err)
	}
	e.opt.Log.Warn("a member was removed from the store's cluster", "member", name, "id", strconv.FormatUint(m.ID, 16))
	return fromMember(m), nil
}

// CheckRemove says whether there is such a member to remove.
func (e *Embedded) CheckRemove(ctx context.Context, name string) error {
	_, list, err := e.toChange(ctx)
	if err != nil {
		return err
	}
	_, err = e.mayRemove(list, name)
	return err
}

func (e *Embedded) mayRemove(list []*etcdserverpb.Member, name string) (*etcdserverpb.Member, error) {
	m, err := find(list, name)
	if err == nil && m.ID == e.Status().MemberID {
		return nil, fmt.Errorf("%w: %s is the member of the replica that is asked: stop that, and ask the one that leads then", ErrMembers, name)
	}
	return m, err
}

func find(list []*etcdserverpb.Member, name string) (*etcdserverpb.Member, error) {
	var known []string
	for _, m := range list {
		one := fromMember(m)
		if one.Name == name || one.Name == "" && one.Address == strings.TrimPrefix(name, "https://") {
			return m, nil
		}
		known = append(known, one.Name)
	}
	slices.Sort(known)
	return nil, fmt.Errorf("%w: no member is named %q, those that there are: %s", ErrMembers, name, strings.Join(known, ", "))
}

// toChange returns what a change of the members begins with.
func (e *Embedded) toChange(ctx context.Context) (*clientv3.Client, []*etcdserverpb.Member, error) {
	if e.opt.Cluster == nil {
		return nil, nil, ErrAlone
	}
	client, err := e.current()
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := e.bound(ctx)
	defer cancel()
	answer, err := client.MemberList(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("members: %w", mapped(ctx, err))
	}
	return client, answer.Members, nil
}

// changeRefused tells what etcd says no to from what it could not do.
func changeRefused(ctx context.Context, what string, err error) error {
	for _, no := range []error{
		rpctypes.ErrMemberNotEnoughStarted, rpctypes.ErrTooManyLearners, rpctypes.ErrUnhealthy,
		rpctypes.ErrMemberExist, rpctypes.ErrPeerURLExist, rpctypes.ErrMemberNotFound,
	} {
		if errors.Is(rpctypes.Error(err), no) {
			return fmt.Errorf("%w: %s: %w", ErrMembers, what, err)
		}
	}
	return fmt.Errorf("members: %s: %w", what, mapped(ctx, err))
}

// promote gives the learners that have caught up their vote. Only the leader
// knows how far they are, so it is the leader that asks.
func (e *Embedded) promote(ctx context.Context, client *clientv3.Client) error {
	s := e.Status()
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	answer, err := client.MemberList(ctx, clientv3.WithSerializable())
	if err != nil {
		return fmt.Errorf("members: %w", err)
	}
	e.noteMembers(answer.Members)
	if !s.Leads() {
		return nil
	}
	for _, m := range answer.Members {
		if !m.IsLearner || m.Name == "" {
			continue
		}
		switch _, err := client.MemberPromote(ctx, m.ID); {
		case errors.Is(rpctypes.Error(err), rpctypes.ErrMemberLearnerNotReady):
		case err != nil:
			return fmt.Errorf("promote member %s: %w", m.Name, err)
		default:
			e.opt.Log.Warn("a member has caught up and votes now", "member", m.Name)
		}
	}
	return nil
}

// HandOver moves the lead of the cluster to another member, where this one has
// it, so that its end costs no election. Nothing may be under way here: what
// is committed meanwhile may fail.
func (e *Embedded) HandOver(ctx context.Context) error {
	if e.opt.Cluster == nil {
		return nil
	}
	client, err := e.current()
	if err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	if err := e.look(ctx, client); err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	if s := e.Status(); !s.Leads() {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, probeTimeout/4) // a stop does not wait for those that are gone
	defer cancel()
	list, err := e.Members(asking)
	if err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	for _, m := range list.Members {
		if m.Self || m.Learner || m.Health != healthy {
			continue
		}
		id, err := strconv.ParseUint(m.ID, 16, 64)
		if err != nil {
			continue
		}
		if _, err = client.MoveLeader(ctx, id); err == nil {
			e.opt.Log.Info("the lead of the store's cluster was handed over", "to", m.Name)
			return e.look(ctx, client)
		}
		e.opt.Log.Warn("the lead of the store's cluster was not taken", "by", m.Name, "error", err)
	}
	return fmt.Errorf("hand over: %w: no other member can lead", store.ErrUnavailable)
}
