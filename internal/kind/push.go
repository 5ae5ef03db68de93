package kind

import (
	"time"

	promconfig "github.com/prometheus/common/config"
)

// Pushed is implemented by the settings of a source that also takes lines, as
// Loki does.
type Pushed interface {
	// Pushing is where lines go. The error says why this source can't take
	// any, by the key that is in the way.
	Pushing() (p Pushing, key string, err error)
}

// Pushing is how a server that takes lines is reached. It holds no secret but
// what the files that it names hold.
type Pushing struct {
	URL     string // base address
	Tenant  string // empty: none
	Timeout time.Duration
	HTTP    promconfig.HTTPClientConfig
}
