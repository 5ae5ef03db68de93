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
//     one and a half election timeouts, 2 s by default.
//   - 128 operations a Txn, 1.5 MiB a request (dev-guide/limit), here checked
//     before they are sent, by store.Txn.Check.
//   - History grows until it is compacted, the file until it is defragmented,
//     and at its quota etcd refuses writes until the alarm is disarmed
//     (op-guide/maintenance). For the embedded member all three are done here;
//     an external cluster is its operators'.
package etcd
