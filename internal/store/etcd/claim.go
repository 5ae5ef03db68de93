package etcd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// claimFile says, in the data directory, whose it is. etcd ignores its first
// settings once it has data, so that a member which is given another cluster
// would go on in the old one, without a word.
const claimFile = "cluster.json"

type claim struct {
	Cluster string `json:"cluster"`
	Member  string `json:"member"`
	Formed  bool   `json:"formed"` // it once was up, in a cluster with a quorum
}

// claimDir refuses a data directory of another member, or of none where a
// cluster is given and the reverse; it claims an empty one.
func claimDir(dir string, c *Cluster) (claim, error) {
	read, err := readClaim(dir)
	if err != nil {
		return claim{}, err
	}
	if read == nil {
		return claimNew(dir, c)
	}
	had := *read
	switch {
	case c == nil:
		return had, fmt.Errorf("%s is of member %s of the cluster %s: --cluster.initial-members must be given", dir, had.Member, had.Cluster)
	case had.Cluster != c.Name:
		return had, fmt.Errorf("%s is of the cluster %s: --cluster.name must be that, got %q", dir, had.Cluster, c.Name)
	case had.Member != c.Member:
		return had, fmt.Errorf("%s is of member %s: --cluster.member-name must be that, got %q", dir, had.Member, c.Member)
	}
	return had, nil
}

// readClaim returns the claim of a directory; nil: it has none.
func readClaim(dir string) (*claim, error) {
	path := filepath.Join(dir, claimFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	had := &claim{}
	if err == nil {
		err = json.Unmarshal(text, had)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return had, nil
}

func claimNew(dir string, c *Cluster) (claim, error) {
	if c == nil {
		return claim{}, nil
	}
	made := claim{Cluster: c.Name, Member: c.Member}
	switch has, err := hasData(filepath.Join(dir, memberDir)); {
	case err != nil:
		return claim{}, err
	case has && len(c.Members) > 1:
		return claim{}, fmt.Errorf("%s holds the data of a store of one node, which is no member of %s: start it with --cluster.initial-members=%s=https://%s alone, which makes it the first member, and add the others by signalboxctl store members; or give another --data",
			dir, c.Name, c.Member, c.own().Address)
	case has:
		made.Formed = true
	}
	return made, made.write(dir)
}

// write replaces the claim whole, and is durable when it returns.
func (c claim) write(dir string) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, claimFile+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.Write(append(text, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), filepath.Join(dir, claimFile)); err != nil {
		return err
	}
	at, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(at.Sync(), at.Close())
}

// hasData reports whether a member has begun in dir: whether it has a
// write-ahead log, as etcd itself asks.
func hasData(dir string) (bool, error) {
	logs, err := filepath.Glob(filepath.Join(dir, "member", "wal", "*.wal"))
	return len(logs) > 0, err
}
