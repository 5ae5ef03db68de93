package grafana

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// Grafana serves its own Alertmanager below this path, with the API v2 of
// Alertmanager.
const (
	amPath     = "/api/alertmanager/grafana/api/v2"
	alertsPath = amPath + "/alerts"
)

// alertsContract is Alertmanager's description of API v2.
type alertsContract struct{ router routers.Router }

func readAlertsContract(path string) (*alertsContract, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var old openapi2.T
	if err := json.Unmarshal(raw, &old); err != nil {
		return nil, err
	}
	doc, err := openapi2conv.ToV3(&old)
	if err != nil {
		return nil, err
	}
	doc.Servers = openapi3.Servers{{URL: amPath}}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		return nil, err
	}
	return &alertsContract{router: router}, nil
}

func (c *alertsContract) input(r *http.Request) (*openapi3filter.RequestValidationInput, error) {
	route, params, err := c.router.FindRoute(r)
	if err != nil {
		return nil, err
	}
	return &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route}, nil
}

func (c *alertsContract) request(r *http.Request) error {
	in, err := c.input(r)
	if err != nil {
		return err
	}
	for name := range r.URL.Query() {
		if in.Route.Operation.Parameters.GetByInAndName("query", name) == nil {
			return fmt.Errorf("there is no parameter %q", name)
		}
	}
	return openapi3filter.ValidateRequest(r.Context(), in)
}

func (c *alertsContract) response(r *http.Request, body []byte) error {
	in, err := c.input(r)
	if err != nil {
		return nil // it is told of the request
	}
	return openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(body)), Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
}
