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
	select {
	case <-c.ready:
	case <-ctx.Done():
		return nil
	case <-time.After(e.opt.StartTimeout):
		return fmt.Errorf("it was not ready within %v", e.opt.StartTimeout)
	}
	client, err := e.dial(ctx)
	if err != nil {
		return err
	}
	e.use(client, e.holderName())
	e.note(func(s *Status) { s.Starts++ })
	e.turn(true, "")
	e.opt.Log.Info("the store's member is up", "pid", c.cmd.Process.Pid)
	e.upkeep(ctx, client)
	return nil
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
	ctx, cancel := context.WithTimeout(ctx, e.opt.StartTimeout)
	defer cancel()
	if err = e.look(ctx, client); err == nil {
		err = e.revokePredecessors(ctx, client)
	}
	if err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("first call: %w", err)
	}
	return client, nil
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
