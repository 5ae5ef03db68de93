package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox/internal/marks"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/etcd"
)

// MemberCommand is the hidden subcommand that runs the embedded store's
// member.
const MemberCommand = etcd.MemberCommand

// RunMember is what the child process of the embedded store does; it returns
// the exit code.
func RunMember([]string) int {
	if err := etcd.RunMember(context.Background(), os.Stdin, os.Stdout); err != nil {
		return 1
	}
	return 0
}

// openStore opens the embedded or the external store. It does not wait for it:
// a daemon whose disk is broken still pages.
func (d *daemon) openStore(ctx context.Context) (func(), error) {
	o := d.options
	cluster, err := o.cluster()
	if err != nil {
		return nil, err
	}
	if o.Store != "" {
		s, err := etcd.Dial(etcd.Options{
			Endpoints: strings.Split(o.Store, ","), CAFile: o.StoreTLS.CA, CertFile: o.StoreTLS.Cert, KeyFile: o.StoreTLS.Key,
			TTL: o.Lease, Log: d.log.With("component", "store"),
		})
		if err != nil {
			return nil, fmt.Errorf("--store: %w", err)
		}
		d.store = s
		return func() { _ = s.Close() }, nil
	}
	e, err := etcd.Start(ctx, etcd.EmbeddedOptions{
		Dir: filepath.Join(o.Data, "store"), Binary: o.Member, Cluster: cluster, TTL: o.Lease, Log: d.log.With("component", "store"),
		OnChange: func(up bool, reason string) {
			if !up && ctx.Err() == nil {
				d.log.Error("the store is down", "reason", reason)
			}
			if !up {
				return
			}
			d.log.Info("the store is up")
		},
	})
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	d.store, d.member = e, e
	d.registry.MustRegister(&storeMetrics{e})
	return func() {
		if err := e.Close(); err != nil {
			d.log.Warn("store", "error", err)
		}
	}, nil
}

// RestoreStore puts a snapshot in the place of a stopped daemon's embedded store.
// A member of a cluster is noted as restored beside it, so that nothing is started
// until a person confirms it.
func RestoreStore(data, file string, c ClusterOptions, now time.Time) (store.Restored, error) {
	o := Options{Cluster: c}
	cluster, err := o.cluster()
	if err != nil {
		return store.Restored{}, err
	}
	restore := etcd.RestoreOptions{Dir: filepath.Join(data, "store"), File: file, Now: now, Cluster: cluster}
	if cluster != nil {
		restore.Before = func() error { return marks.In(data).MarkRestored(now) }
	}
	return etcd.Restore(restore)
}

// CopyStore streams a snapshot of a stopped daemon's embedded store, with all that
// its log holds. It works on a copy of it beneath beside.
func CopyStore(ctx context.Context, data, beside string, to io.Writer) error {
	return etcd.CopyStopped(ctx, filepath.Join(data, "store"), beside, to)
}

// storeMetrics tells the embedded member's status when it is scraped.
type storeMetrics struct{ e *etcd.Embedded }

func describe(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("signalbox_store_"+name, help, nil, nil)
}

// Describe implements prometheus.Collector.
func (m *storeMetrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector.
func (m *storeMetrics) Collect(ch chan<- prometheus.Metric) {
	s := m.e.Status()
	truth := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	for _, v := range []struct {
		name, help string
		kind       prometheus.ValueType
		value      float64
	}{
		{"up", "1 while the embedded member serves.", prometheus.GaugeValue, truth(s.Up)},
		{"starts_total", "How often the embedded member came up.", prometheus.CounterValue, float64(s.Starts)},
		{"exits_total", "How often it ended without being asked to.", prometheus.CounterValue, float64(s.Exits)},
		{"resident_memory_bytes", "Resident memory of the member's process.", prometheus.GaugeValue, float64(s.RSS)},
		{"db_size_bytes", "Size of the database file.", prometheus.GaugeValue, float64(s.DBSize)},
		{"db_in_use_bytes", "What of it is not free.", prometheus.GaugeValue, float64(s.DBInUse)},
		{"quota_bytes", "Size at which the member refuses writes.", prometheus.GaugeValue, float64(s.Quota)},
		{"no_space", "1 while the quota alarm is raised.", prometheus.GaugeValue, truth(s.NoSpace)},
		{"members", "Members of the store's cluster, learners too; 1: it is of one node.", prometheus.GaugeValue, float64(s.Members)},
		{"members_unlisted", "Members of the store's cluster that this replica's --cluster.initial-members lacks.", prometheus.GaugeValue, float64(len(s.Unlisted))},
		{"has_leader", "1 while the member sees a leader of its cluster, and so a quorum.", prometheus.GaugeValue, truth(s.Leader != 0)},
		{"leads", "1 while the member leads its cluster.", prometheus.GaugeValue, truth(s.Leads())},
		{"learner", "1 while the member has no vote, since it still catches up.", prometheus.GaugeValue, truth(s.Learner)},
		{"last_compaction_timestamp_seconds", "Time of the last compaction.", prometheus.GaugeValue, float64(s.CompactedAt.UnixMilli()) / 1e3},
	} {
		ch <- prometheus.MustNewConstMetric(describe(v.name, v.help), v.kind, v.value)
	}
}
