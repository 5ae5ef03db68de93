package store

import "io"

// Health is how a store's servers are, as they say.
type Health struct {
	ID       string   `json:"id"` // etcd's
	Revision int64    `json:"revision"`
	Members  []Server `json:"members"`
	// Alarms of ids that are no members: of one that was removed, or of another
	// cluster's that a copy brought. They hold up writes as any other.
	Alarms []Alarm `json:"alarms_of_no_member,omitempty"`
	// Unlisted is that of Membership.
	Unlisted []string `json:"unlisted,omitempty"`
}

// Alarm is one that is raised under an id.
type Alarm struct {
	ID    string `json:"id"`
	Alarm string `json:"alarm"`
}

// Copy is a consistent copy of the whole store, as it comes.
type Copy struct {
	io.ReadCloser
	// Revision is that of the copy, or less by what was committed while it began.
	Revision int64
}

// Server is one member of the store's cluster, by itself. Sizes are in bytes.
type Server struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Peers   []string `json:"peers"`
	Clients []string `json:"clients"`
	Learner bool     `json:"learner,omitempty"`
	Leader  bool     `json:"leader"` // of etcd's own consensus
	Version string   `json:"version,omitempty"`
	DBSize  int64    `json:"db_size_bytes,omitempty"`
	DBInUse int64    `json:"db_in_use_bytes,omitempty"`
	Quota   int64    `json:"quota_bytes,omitempty"`
	Alarms  []string `json:"alarms,omitempty"`
	Error   string   `json:"error,omitempty"` // why it does not say more
}

// Restored tells what a restore did.
type Restored struct {
	SHA256   string `json:"sha256"`
	Bytes    int64  `json:"bytes"`
	Keys     int    `json:"keys"`
	Revision int64  `json:"revision"` // of the copy; the store goes on far above it
	Aside    string `json:"kept_aside,omitempty"`
	// Cluster is the id of the cluster that the member is one of: the same of all
	// that were restored from one copy. Empty: it is alone.
	Cluster string `json:"cluster,omitempty"`
}
