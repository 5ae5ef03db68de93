package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.uber.org/zap"
)

// CopyStopped streams a snapshot of a stopped member's data, the whole of its log
// included: of a member that outlived its quorum. What others acknowledged with it
// may be in its log alone, and not known to it as committed; so all of the log
// counts, as it would if this member were elected. beside is a directory with room
// for as much as the member has: it works on a copy there, and leaves the member
// as it is.
func CopyStopped(ctx context.Context, dir, beside string, to io.Writer) (err error) {
	there := filepath.Join(dir, memberDir)
	switch has, err := hasData(there); {
	case err != nil:
		return err
	case !has:
		return fmt.Errorf("%s holds no data of a member", there)
	}
	for _, d := range []string{dir, there} { // the child may outlive its daemon for a moment
		lock, err := lockDir(d)
		if err != nil {
			return inUse(d, err)
		}
		defer func() { _ = lock.Close() }()
	}
	work, err := os.MkdirTemp(beside, "signalbox-copy-") // mode 0700
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	copied := filepath.Join(work, memberDir)
	if err := os.CopyFS(copied, os.DirFS(there)); err != nil {
		return err
	}
	if err := commitAll(filepath.Join(copied, "member")); err != nil {
		return fmt.Errorf("%s: its log: %w", there, err)
	}
	return snapshotOf(ctx, copied, to)
}

// commitAll makes all entries of a member's log committed ones. Without it etcd
// would leave out those of which the member was not told that they were.
func commitAll(dir string) error {
	quiet, logs := zap.NewNop(), filepath.Join(dir, "wal")
	known, err := wal.ValidSnapshotEntries(quiet, logs)
	if err != nil {
		return err
	}
	from := &walpb.Snapshot{}
	newest, err := snap.New(quiet, filepath.Join(dir, "snap")).LoadNewestAvailable(known)
	switch {
	case errors.Is(err, snap.ErrNoSnapshot):
	case err != nil:
		return err
	default:
		from.Index, from.Term = new(newest.Metadata.GetIndex()), new(newest.Metadata.GetTerm())
	}
	w, err := wal.Open(quiet, logs, from)
	if err != nil {
		return err
	}
	_, state, entries, err := w.ReadAll()
	if errors.Is(err, io.ErrUnexpectedEOF) { // its last record was being written
		_ = w.Close()
		if !wal.Repair(quiet, logs) {
			return err
		}
		if w, err = wal.Open(quiet, logs, from); err == nil {
			_, state, entries, err = w.ReadAll()
		}
	}
	if err != nil {
		return err
	}
	if n := len(entries); n > 0 && entries[n-1].GetIndex() > state.GetCommit() {
		state.Commit = new(entries[n-1].GetIndex())
		err = w.Save(state, nil)
	}
	return errors.Join(err, w.Close())
}

// snapshotOf streams a snapshot of a member's data, which it changes: the member
// is made to serve alone.
func snapshotOf(ctx context.Context, dir string, to io.Writer) (err error) {
	tls, err := peerTLS(filepath.Join(filepath.Dir(dir), peerDir), time.Now())
	if err != nil {
		return err
	}
	socket, err := os.MkdirTemp("", "sbx") // a path that is short enough for a socket
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(socket)) }()
	cfg := memberConfig(settings{}, tls)
	cfg.Dir, cfg.ForceNewCluster = dir, true
	client := url.URL{Scheme: "unix", Path: filepath.Join(socket, socketName)}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.LogLevel = "fatal"
	member, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeMember(member)) }()
	select {
	case <-member.Server.ReadyNotify():
	case err := <-member.Err():
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
	c := v3client.New(member.Server)
	defer func() { _ = c.Close() }()
	if _, err := c.Get(ctx, "all is applied"); err != nil { // linearizable: it waits for the log
		return err
	}
	copied, err := c.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = copied.Close() }()
	_, err = io.Copy(to, copied)
	return err
}
