package rollout

import "github.com/signalbox/signalbox/internal/workload"

// object is a workload or node, and place where it is kept.
type (
	object   = workload.Object
	place    = workload.Place
	template = workload.Template
)
