package rollout

import (
	"os"
	"testing"

	"github.com/signalbox/signalbox/test/servers"
)

// TestMain lets the tests have API servers one after the other.
func TestMain(m *testing.M) { os.Exit(servers.Main(m, 4)) }
