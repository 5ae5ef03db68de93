package store

// Member is one member of the cluster that keeps the store, as another one, the
// asked, sees it.
type Member struct {
	Name    string `json:"name"` // empty: it was added, and has not started yet
	ID      string `json:"id"`   // hexadecimal; empty while the asked one does not serve
	Address string `json:"address"`
	Leader  bool   `json:"leader"` // of the cluster; not of the role "engine"
	Learner bool   `json:"learner"`
	Self    bool   `json:"self"` // the asked one
	// Health is "ok" where the member answers its peers, else why not.
	Health string `json:"health"`
}

// Membership is a cluster's members. Without Quorum they are those that the
// asked one knows, and can't be changed.
type Membership struct {
	Cluster string   `json:"cluster"`
	Quorum  bool     `json:"quorum"`
	Members []Member `json:"members"` // by name
	// Unlisted are those that the asked one's --cluster.initial-members lack, as
	// entries of that: without its disk it could begin a store beside theirs.
	Unlisted []string `json:"unlisted,omitempty"`
}
