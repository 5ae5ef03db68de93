package sim

import "github.com/signalbox/signalbox/policy"

// extend adds to the handbook what is across its policies.
func extend(*policy.Config) {}
