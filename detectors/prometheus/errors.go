package prometheus

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"

	"github.com/signalbox/signalbox/internal/httpclient"
)

var (
	errShape     = errors.New("the answer is not one of Prometheus' HTTP API")
	errHistogram = errors.New("the answer holds native histograms, which have no one value: use histogram_quantile, histogram_avg or histogram_fraction")
	errTooLarge  = fmt.Errorf("%w: aggregate in the query", httpclient.ErrTooLarge)
)

// explain makes a plain error of what the API's client says: no address, no
// credentials, one bounded line.
func (s *Source) explain(err error) error {
	if errors.Is(err, httpclient.ErrTooLarge) {
		return errTooLarge
	}
	if e, ok := errors.AsType[*v1.Error](err); ok {
		return errors.New(s.plain(answered(e)))
	}
	return httpclient.Explain(err)
}

// answered tells an error of the API. What the client leaves in Detail is a
// whole body: only the message in it is repeated.
func answered(e *v1.Error) string {
	text := e.Error()
	if e.Type == v1.ErrBadResponse { // the decoders quote what they could not read
		text, _, _ = strings.Cut(text, `"`)
		text, _, _ = strings.Cut(text, ", error found in #")
	}
	var body struct {
		Error string `json:"error"`
	}
	if json.Unmarshal([]byte(e.Detail), &body) == nil && body.Error != "" {
		text += ": " + body.Error
	}
	return text
}
