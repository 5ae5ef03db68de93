package loki

import (
	"errors"
	"strings"

	"github.com/signalbox/signalbox/internal/kind"
)

// Pushing implements kind.Pushed: the audit trail may go to this source.
func (s *Settings) Pushing() (p kind.Pushing, key string, err error) {
	if strings.Contains(s.Tenant, "|") {
		return p, "tenant", errors.New("must be a single tenant: lines can't be pushed to several")
	}
	return kind.Pushing{URL: s.URL, Tenant: s.Tenant, Timeout: s.Timeout.Std(), HTTP: s.HTTP}, "", nil
}
