// Package etcd keeps the store in etcd (https://etcd.io/docs/v3.6/): in a
// cluster that others run (Dial), or in a member of our own (Start).
//
// The member runs as a child process of the same binary (RunMember), because
// etcd ends its process when fdatasync fails or the disk is full, and the pager
// must outlive that. Start supervises it:
//
//	daemon ── flock on Dir ── Embedded ── Store ── unix socket ──┐
//	                             │ stdin: settings, then EOF      │
//	                             └──────── child: RunMember ── embed.Etcd ── Dir/etcd (flock)
//
// The child serves clients on a unix socket in Dir, which nobody else can
// enter, and peers on loopback with mutual TLS under a CA of its own. It ends
// when its standard input does, so also when the daemon is killed. While it is
// down each call returns store.ErrUnavailable at once; it is started again with
// exponential backoff. Embedded.Status says how it is.
//
// # A cluster of members
//
// With Cluster each daemon's member is one of several (cluster.go):
//
//	daemon a ── unix socket ── member a ──┐
//	daemon b ── unix socket ── member b ──┼── mutual TLS, port of --cluster.initial-members
//	daemon c ── unix socket ── member c ──┘
//
// A daemon talks to its own member alone: where that is gone or sees no leader
// its calls are refused or time out, and a daemon that goes on over others'
// members while its own disk is ill would hide what must be repaired.
//
//   - Who is a peer: it has a certificate under the CA that holds one of the
//     allowed names (clustertls.go), and it is of the cluster whose id follows
//     from the name and the first members.
//   - A data directory is of one member of one cluster, or of a store of one
//     node, and says so (claim.go). etcd ignores its first settings once it has
//     data; one member that goes on alone beside two that wait for it would be
//     two stores.
//   - A first start takes all members (first.go), so that members which lost
//     their data begin nothing beside one that has some.
//   - A store of one node becomes the first member by being started with itself
//     alone in the list; others are added to it. A member whose list lacks others
//     would not wait for them at a first start: it complains, and adds no further
//     one (unlisted.go).
//   - With a majority gone, what a stopped member has is copied (survivor.go), and
//     all are restored from it, as a cluster of another id (restore.go).
//   - The child says "started" when it waits for nothing but its peers, and
//     "ready" with a quorum. Between the two there is no bound: Status.Waits.
//     Status.Forming tells a cluster at its very first start from an outage.
//   - A member whose data is gone does not come back under its old id, by
//     either way of starting (join.go, and etcd's own check): it is removed and
//     added (members.go), joins as a learner, and is promoted by the leader
//     once it has caught up.
//   - HandOver moves the lead before an end, so that it costs no election.
//   - Members defragment in turn, since one that does answers nothing.
//
// # What is promised, and from where
//
//   - List, Get and Commit are linearizable and a Commit is durable before it
//     returns (learning/api_guarantees): no serializable reads are made.
//   - A Commit is sent once. The client's own retries are off, since a second
//     try of a Txn that was done fails its conditions, and would be reported as
//     a conflict that wrote nothing. Reads are tried again here.
//   - A Watch is ordered, whole by revision and without gaps, or says
//     store.ErrCompacted (learning/api_guarantees, "Watch APIs").
//   - A lease lasts at least its TTL after the keepalive was received
//     (learning/api_guarantees, "Lease"). Its holder counts two thirds of it, on
//     the boot-time clock, from before the keepalive was sent. The least TTL is
//     one and a half election timeouts, with etcd's own 2 s. Who is elected to
//     lead the store counts each lease anew, with one election timeout on top.
//   - 128 operations a Txn, 1.5 MiB a request (dev-guide/limit), here checked
//     before they are sent, by store.Txn.Check.
//   - History grows until it is compacted, the file until it is defragmented,
//     and at its quota etcd refuses writes until the alarm is disarmed
//     (op-guide/maintenance). For the embedded member all three are done here,
//     also for the alarm of a member that is gone (alarms.go); an external
//     cluster is its operators'.
//   - A Snapshot is of one member, which has seen by a quorum what is newest
//     right before. etcd itself streams what a member has, however old.
package etcd
