package signalbox

// Process names one run of one replica's daemon.
type Process struct {
	Replica string `json:"replica"`
	// Home is of the directory of its data, which one process at a time can
	// have: a later run there proves that this one is over.
	Home string `json:"home"`
	// Run is of this run alone.
	Run string `json:"run"`
}

// Rest is what the newest process of a home says of itself: nothing that it
// began with a token up to Past is still under way.
type Rest struct {
	Process
	Past Token `json:"past,omitempty"`
}

// Clears reports whether nothing of an action can still be on its way to its
// target: the process that claimed it is over, or at rest since.
func (r *Rest) Clears(a *Action) bool {
	return r.Home == a.By.Home && (r.Run != a.By.Run || r.Past >= a.Token)
}
