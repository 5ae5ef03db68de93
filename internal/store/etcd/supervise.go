package etcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/signalbox/signalbox/internal/store"
)

const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 10 * time.Second
	// steady is how long a member runs to be taken for sound again.
	steady = time.Minute
	// stopTimeout bounds an end in good order.
	stopTimeout = 10 * time.Second
)

// supervise runs the member, again and again, until ctx ends.
func (e *Embedded) supervise(ctx context.Context) {
	defer close(e.done)
	backoff := firstBackoff
	for {
		began := bootTime()
		err := e.run(ctx)
		e.drop(err)
		e.turn(false, err.Error())
		if ctx.Err() != nil {
			return
		}
		e.note(func(s *Status) {
			s.PID, s.LastExit, s.ExitedAt = 0, err.Error(), time.Now()
			s.Waits, s.Leader = "", 0
			s.Exits++
		})
		if bootTime()-began > steady {
			backoff = firstBackoff
		}
		e.opt.Log.Error("the store's member ended; it is started again", "error", err, "after", backoff)
		if !pause(ctx, backoff) {
			return
		}
		backoff = min(2*backoff, lastBackoff)
	}
}

// run starts one member, serves while it lives, and returns why it ended.
func (e *Embedded) run(ctx context.Context) error {
	c, err := e.spawn()
	if err != nil {
		return err
	}
	e.note(func(s *Status) { s.PID = c.cmd.Process.Pid })
	serving, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		<-c.exited // what uses it stops at once
		cancel()
	}()
	if err := e.serve(serving, c); err != nil && ctx.Err() == nil {
		c.kill()
		return c.reason(err)
	}
	e.drop(errStopping) // so that the member need not wait for our connection
	c.end()
	return c.reason(nil)
}

// serve returns nil when ctx ends, or the member does.
func (e *Embedded) serve(ctx context.Context, c *child) error {
	if err := e.awaitReady(ctx, c); err != nil || ctx.Err() != nil {
		return err
	}
	client, err := e.dial(ctx)
	if ctx.Err() != nil && err != nil {
		return nil
	} else if err != nil {
		return err
	}
	e.formed()
	e.use(client, e.holderName())
	e.note(func(s *Status) { s.Starts++ })
	e.turn(true, "")
	e.opt.Log.Info("the store's member is up", "pid", c.cmd.Process.Pid)
	e.upkeep(ctx, client)
	return nil
}

// awaitReady returns nil when the child serves, or ctx ends. A start has its
// time, but a member of a cluster may wait for its peers for as long as they
// take: to start it anew would bring none of them.
func (e *Embedded) awaitReady(ctx context.Context, c *child) error {
	late := time.After(e.opt.StartTimeout)
	for {
		select {
		case <-c.ready:
			return nil
		case <-ctx.Done():
			return nil
		case line := <-c.said:
			if e.opt.Cluster == nil {
				continue
			}
			late = nil
			if whom, waits := strings.CutPrefix(line, waitsLine); waits {
				e.wait(whom)
			} else {
				e.wait("a quorum of the cluster " + e.opt.Cluster.Name + " (" + e.opt.Cluster.names() + ")")
			}
		case <-late:
			return fmt.Errorf("it was not ready within %v", e.opt.StartTimeout)
		}
	}
}

// wait tells what the member waits for before it serves.
func (e *Embedded) wait(what string) {
	var was string
	e.note(func(s *Status) { was, s.Waits = s.Waits, what })
	if was != what {
		e.opt.Log.Warn("the store's member waits", "for", what)
	}
}

// formed remembers, beyond this process, that the cluster has had a quorum.
func (e *Embedded) formed() {
	if e.opt.Cluster == nil || e.claim.Formed {
		return
	}
	e.claim.Formed = true
	if err := e.claim.write(e.opt.Dir); err != nil {
		e.opt.Log.Warn("that the cluster was formed is not written down", "error", err)
	}
}

// dial connects to the member, learns its identity, and revokes what
// predecessors on this data directory hold.
func (e *Embedded) dial(ctx context.Context) (*clientv3.Client, error) {
	cfg := clientConfig([]string{endpoint})
	cfg.DialOptions = []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", e.socketPath())
	})}
	client, err := clientv3.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if err := e.firstCalls(ctx, client); err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("first call: %w", err)
	}
	return client, nil
}

// firstCalls are tried again in a cluster, where they wait for others: for a
// quorum that is lost again, or for a learner's promotion.
func (e *Embedded) firstCalls(ctx context.Context, client *clientv3.Client) error {
	if e.opt.Cluster == nil {
		ctx, cancel := context.WithTimeout(ctx, e.opt.StartTimeout)
		defer cancel()
		if err := e.look(ctx, client); err != nil {
			return err
		}
		return e.revokePredecessors(ctx, client)
	}
	for {
		err := e.look(ctx, client)
		if err == nil {
			first, cancel := context.WithTimeout(ctx, e.timeout)
			err = errors.Join(e.revokePredecessors(first, client), e.readdress(first, client))
			cancel()
		}
		if err == nil {
			return nil
		}
		if e.Status().Learner {
			e.wait("its promotion: it is a learner, which gets a vote when it has caught up")
		} else {
			e.wait("a quorum of the cluster " + e.opt.Cluster.Name + ": " + err.Error())
		}
		if !pause(ctx, electionPause) {
			return ctx.Err()
		}
	}
}

// readdress gives the one member of a cluster the address at which others will
// reach it: one that was a store of one node had none.
func (e *Embedded) readdress(ctx context.Context, client *clientv3.Client) error {
	list, err := client.MemberList(ctx)
	if err != nil || len(list.Members) != 1 {
		return err
	}
	own, address := list.Members[0], "https://"+e.opt.Cluster.own().Address
	if len(own.PeerURLs) == 1 && own.PeerURLs[0] == address {
		return nil
	}
	if _, err := client.MemberUpdate(ctx, own.ID, []string{address}); err != nil {
		return fmt.Errorf("tell the address of the member: %w", err)
	}
	e.opt.Log.Warn("the store of one node is the first member of a cluster now", "cluster", e.opt.Cluster.Name, "member", e.opt.Cluster.Member, "address", address)
	return nil
}

// holderName is the value of a leader's key: the member, which is the data
// directory's for life, and this process.
func (e *Embedded) holderName() string { return e.memberName() + e.nonce }

func (e *Embedded) memberName() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return fmt.Sprintf("%x/%x/", e.status.ClusterID, e.status.MemberID)
}

// revokePredecessors ends the leases of earlier processes on this data
// directory, so that this one need not wait for them to run out. We hold the
// directory's lock, so none of them lives.
func (e *Embedded) revokePredecessors(ctx context.Context, client *clientv3.Client) error {
	leaders, err := client.Get(ctx, store.LeadPrefix, clientv3.WithPrefix())
	if err != nil {
		return err
	}
	for _, kv := range leaders.Kvs {
		ours := strings.HasPrefix(string(kv.Value), e.memberName())
		if !ours || string(kv.Value) == e.holderName() || kv.Lease == 0 {
			continue
		}
		if _, err := client.Revoke(ctx, clientv3.LeaseID(kv.Lease)); err != nil {
			return fmt.Errorf("revoke the lease of a predecessor: %w", err)
		}
		e.opt.Log.Info("the lease of a predecessor on this data directory is revoked", "key", string(kv.Key))
	}
	return nil
}

// reason says why the child ended: by what it last complained of, and how.
func (c *child) reason(cause error) error {
	<-c.exited
	var exit *exec.ExitError
	how := "exit status 0"
	if errors.As(c.err, &exit) {
		how = exit.Error()
	} else if c.err != nil {
		how = c.err.Error()
	}
	last := c.log.last()
	switch {
	case cause != nil:
		return fmt.Errorf("member: %w (%s)", cause, how)
	case last != "":
		return fmt.Errorf("member: %s: %s", how, last)
	}
	return fmt.Errorf("member: %s", how)
}
