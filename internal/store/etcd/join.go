package etcd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.uber.org/zap"
)

// One of several takes a leader that says nothing for gone after clusterElection
// to twice that. Who is elected then counts each lease anew, and clusterElection on
// top (etcd's lessor.Promote): with etcd's own second another would act 5 to 6.5 s
// after a crash. Members are in one region, so that a tick is far longer than the
// way between them.
const (
	clusterTick     = 50 // ms
	clusterElection = 500
)

// clusterConfig is one member of several.
func clusterConfig(set settings) *embed.Config {
	c := set.Cluster
	cfg := baseConfig(set)
	cfg.Name = c.Member
	cfg.ListenPeerUrls = []url.URL{{Scheme: "https", Host: c.Listen}}
	cfg.AdvertisePeerUrls = []url.URL{{Scheme: "https", Host: c.own().Address}}
	cfg.InitialCluster = c.first().Members
	cfg.InitialClusterToken = c.token("")
	if c.Join {
		cfg.ClusterState = embed.ClusterStateFlagExisting
	}
	cfg.PeerTLSInfo = c.tlsInfo()
	cfg.TickMs, cfg.ElectionMs = clusterTick, clusterElection
	return cfg
}

// mayStart refuses a member that ran before and has lost its data: it would have
// forgotten what it voted for. Where it can't know that, it waits for those who
// do.
func mayStart(ctx context.Context, set settings, says func(waits string)) error {
	c := set.Cluster
	switch has, err := hasData(memberDir); {
	case err != nil || has:
		return err
	case c.Join:
		return mayJoin(ctx, c)
	case set.Formed:
		return c.dataIsGone(c.Member)
	}
	return awaitAll(ctx, c, says)
}

// mayJoin refuses what etcd would let join without a word: a member that comes
// back under its old id with an empty log, and counts for entries that it no
// longer has. Where no peer answers it does not join either.
func mayJoin(ctx context.Context, c *Cluster) error {
	trip, err := transport.NewTransport(c.tlsInfo(), defaultTimeout)
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	defer trip.CloseIdleConnections()
	var others []string
	for _, p := range c.Members {
		if p.Name != c.Member {
			others = append(others, "https://"+p.Address)
		}
	}
	known, err := etcdserver.GetClusterFromRemotePeers(zap.NewNop(), others, trip)
	if err != nil {
		return fmt.Errorf("join: none of %s says who the members are: %w", strings.Join(others, ", "), errors.Join(err, ctx.Err()))
	}
	own := "https://" + c.own().Address
	for _, m := range known.Members() {
		if len(m.PeerURLs) != 1 || m.PeerURLs[0] != own {
			continue
		}
		if m.Name != "" {
			return fmt.Errorf("join: %w", c.dataIsGone(m.Name))
		}
		return nil
	}
	return fmt.Errorf("join: no member at %s was added to the cluster: signalboxctl store members add %s %s", own, c.Member, own)
}

// explained says what to do about the start that etcd refuses most often.
func explained(err error) error {
	if err != nil && strings.Contains(err.Error(), "has already been bootstrapped") {
		return fmt.Errorf("%w: it ran before, and its data is gone: replace it, with signalboxctl store members remove and add, and start it with --cluster.join", err)
	}
	return err
}
