package endpoint

import (
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/setting"
)

// Kind is the remediator that flips switches.
func Kind() kind.Remediator {
	return kind.Remediator{
		Name:     "endpoint",
		Keyword:  "flip",
		Backends: setting.Backends(),
		Spec:     setting.Resolve,
		Open:     setting.Open,
	}
}
