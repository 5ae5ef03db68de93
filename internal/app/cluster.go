package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/signalbox/signalbox/internal/store/etcd"
)

// ClusterOptions are what the command line says of a cluster of embedded
// members: the flags --cluster.*.
type ClusterOptions struct {
	Name             string // of the cluster
	Member           string // default: the replica
	Listen           string
	Members          string // name=https://host:port, comma separated; empty: the store is of one node
	AllowedHostnames string // comma separated
	CA, Cert, Key    string
	Join             bool
}

// cluster returns what the member is told of its cluster; nil where it is
// alone. Its errors name the flag.
func (o *Options) cluster() (*etcd.Cluster, error) {
	c := o.Cluster
	if c.Members == "" {
		if c != (ClusterOptions{}) {
			return nil, errors.New("--cluster.initial-members must be name=https://host:port of every member where another flag of --cluster is given, got none")
		}
		return nil, nil
	}
	if o.Store != "" {
		return nil, fmt.Errorf("--store and --cluster.initial-members must not both be given: the store is an external etcd, or a cluster of the replicas' own members, got --store=%s", o.Store)
	}
	members, err := etcd.ParsePeers(c.Members)
	if err != nil {
		return nil, fmt.Errorf("--cluster.initial-members: %w", err)
	}
	out := &etcd.Cluster{
		Name: c.Name, Member: cmp.Or(c.Member, o.Replica), Listen: c.Listen, Members: members, Join: c.Join,
		CAFile: c.CA, CertFile: c.Cert, KeyFile: c.Key,
	}
	if c.AllowedHostnames != "" {
		for host := range strings.SplitSeq(c.AllowedHostnames, ",") {
			out.AllowedHostnames = append(out.AllowedHostnames, strings.TrimSpace(host))
		}
	}
	return out, nil
}

// storeWaits says what the embedded member waits for before it serves; empty:
// nothing of its cluster.
func (d *daemon) storeWaits() string {
	if d.member == nil {
		return ""
	}
	return d.member.Status().Waits
}

// storeForms reports whether the member never was up, in a cluster.
func (d *daemon) storeForms() bool { return d.member != nil && d.member.Status().Forming }

// handOver lets another member lead the store's cluster before this daemon
// ends, so that its successor need not wait for an election.
func (d *daemon) handOver(ctx context.Context) error {
	if d.member == nil {
		return nil
	}
	return d.member.HandOver(ctx)
}
