package etcd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"

	"github.com/signalbox/signalbox/internal/durable"
	"github.com/signalbox/signalbox/internal/sealed"
	"github.com/signalbox/signalbox/internal/store"
)

// revisionBump is added to the revision of a restored copy. Tokens are made of
// revisions, so that none that was given out since the copy is given out again:
// it is more commits than a store sees between two backups.
const revisionBump = 1_000_000_000

// RestoreOptions say what is restored, and where to.
type RestoreOptions struct {
	Dir  string    // data directory of the embedded store, whose daemon is stopped
	File string    // a snapshot, as Snapshot streams it
	Now  time.Time // names what is kept aside
	// Cluster that the member is one of, of which the names and addresses count;
	// nil: it is alone. Each member is restored, from the same file.
	Cluster *Cluster
	// Before is called once all is known to be good, right before the data are put
	// in their place; its error ends it. nil: nothing is.
	Before func() error
}

// Restore puts a snapshot in the place of the member's data. The old data stay
// beside it; until all else is done nothing of them has changed.
//
// Members that are restored from one file begin a cluster whose id is made of
// that file's hash beside its name and members: who was not restored, or from
// another file, is no peer of theirs.
func Restore(o RestoreOptions) (r store.Restored, err error) {
	if r.SHA256, r.Bytes, err = sealed.File(o.File); err != nil {
		return r, err
	}
	if o.Cluster != nil {
		own := *o.Cluster
		if err := own.completeNames(); err != nil {
			return r, err
		}
		o.Cluster = &own
	}
	dir, err := lockDir(o.Dir)
	if err != nil {
		return r, inUse(o.Dir, err)
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	if err := o.mayRestore(); err != nil {
		return r, err
	}
	there := filepath.Join(o.Dir, memberDir)
	switch _, err := os.Stat(there); {
	case err == nil:
		member, err := lockDir(there) // the child may outlive its daemon for a moment
		if err != nil {
			return r, inUse(there, err)
		}
		defer func() { _ = member.Close() }()
		r.Aside = there + ".before-restore-" + o.Now.UTC().Format("20060102T150405.000Z")
	case !errors.Is(err, fs.ErrNotExist):
		return r, err
	}
	fresh := there + ".restoring"
	if err := os.RemoveAll(fresh); err != nil { // of a restore that was cut off
		return r, err
	}
	if err := o.unpack(fresh, &r); err != nil {
		return r, errors.Join(fmt.Errorf("%s: %w", o.File, err), os.RemoveAll(fresh))
	}
	if o.Before != nil {
		if err := o.Before(); err != nil {
			return r, errors.Join(err, os.RemoveAll(fresh))
		}
	}
	if r.Aside != "" {
		if err := os.Rename(there, r.Aside); err != nil {
			return r, err
		}
	}
	if c := o.Cluster; c != nil { // before its data, which nobody else must take for theirs
		if err := (claim{Cluster: c.Name, Member: c.Member}).write(o.Dir); err != nil {
			return r, err
		}
	}
	if err := os.Rename(fresh, there); err != nil {
		return r, err
	}
	return r, durable.SyncDir(o.Dir)
}

// mayRestore refuses a directory of another member, and one of a cluster that is
// restored as if it were alone.
func (o *RestoreOptions) mayRestore() error {
	had, err := readClaim(o.Dir)
	switch {
	case err != nil || had == nil:
		return err
	case o.Cluster == nil:
		return fmt.Errorf("%s is of member %s of the cluster %s: while a majority is left, remove it and add it again; where none is, give the --cluster flags of the daemon, and restore every member from the same file", o.Dir, had.Member, had.Cluster)
	case had.Member != o.Cluster.Member:
		return fmt.Errorf("%s is of member %s: --cluster.member-name must be that, got %q", o.Dir, had.Member, o.Cluster.Member)
	}
	return nil
}

func inUse(dir string, err error) error {
	if errors.Is(err, ErrLocked) {
		return fmt.Errorf("%s is in use: stop its daemon first: %w", dir, err)
	}
	return err
}

// unpack makes a member's data of a snapshot. Its history is marked as
// compacted, so that no watch goes on from before.
func (o *RestoreOptions) unpack(dir string, r *store.Restored) error {
	m := snapshot.NewV3(zap.NewNop())
	st, err := m.Status(o.File)
	if err != nil {
		return err
	}
	r.Keys, r.Revision = st.TotalKey, st.Revision
	cfg := memberConfig(settings{}, transport.TLSInfo{})
	name, address, all, token := cfg.Name, cfg.AdvertisePeerUrls[0].String(), cfg.InitialCluster, cfg.InitialClusterToken
	if c := o.Cluster; c != nil {
		name, address, all, token = c.Member, "https://"+c.own().Address, c.first().Members, c.token(r.SHA256)
		var id types.ID
		if id, err = c.idOf(token); err != nil {
			return err
		}
		r.Cluster = id.String()
	}
	err = m.Restore(snapshot.RestoreConfig{
		SnapshotPath: o.File, OutputDataDir: dir,
		Name: name, PeerURLs: []string{address}, InitialCluster: all, InitialClusterToken: token,
		RevisionBump: revisionBump, MarkCompacted: true,
	})
	if err != nil {
		return err
	}
	return os.Chmod(dir, 0o700)
}
