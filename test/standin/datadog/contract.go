package datadog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// Contract is Datadog's own description of its API, a router a version. It is
// read once for many stand-ins: it is large.
type Contract map[string]routers.Router

// ReadContract reads the descriptions of v1 and v2.
func ReadContract(v1, v2 string) (Contract, error) {
	c := Contract{}
	for version, path := range map[string]string{"v1": v1, "v2": v2} {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		doc, err := openapi3.NewLoader().LoadFromData(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", version, err)
		}
		doc.Servers = openapi3.Servers{{URL: "/"}}
		router, err := legacy.NewRouter(doc, openapi3.DisableExamplesValidation(), openapi3.DisableSchemaPatternValidation(), openapi3.DisableSchemaDefaultsValidation())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", version, err)
		}
		c[version] = router
	}
	return c, nil
}

func (c Contract) request(r *http.Request, body []byte) error {
	in, err := c.input(r, body)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, p := range in.Route.Operation.Parameters {
		known[p.Value.Name] = true
	}
	for name := range r.URL.Query() {
		if !known[name] {
			return fmt.Errorf("there is no parameter %q", name)
		}
	}
	return openapi3filter.ValidateRequest(context.WithoutCancel(r.Context()), in)
}

func (c Contract) response(r *http.Request, sent []byte, status int, header http.Header, body []byte) error {
	in, err := c.input(r, sent)
	if err != nil {
		return err
	}
	if in.Route.Operation.Responses.Status(status) == nil {
		return nil // not described: a fault of the network between, not Datadog's answer
	}
	if header.Get("Content-Type") == "" {
		return errors.New("no Content-Type")
	}
	return openapi3filter.ValidateResponse(context.WithoutCancel(r.Context()), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)),
	})
}

// input makes a copy of the request that the validator may read to its end.
func (c Contract) input(r *http.Request, body []byte) (*openapi3filter.RequestValidationInput, error) {
	parts := strings.Split(r.URL.Path, "/") // "", "api", "v1", …
	if len(parts) < 3 || c[parts[2]] == nil {
		return nil, errors.New("there is no such version of the API")
	}
	again := r.Clone(context.WithoutCancel(r.Context()))
	again.Body = io.NopCloser(bytes.NewReader(body))
	route, params, err := c[parts[2]].FindRoute(again)
	if err != nil {
		return nil, err
	}
	return &openapi3filter.RequestValidationInput{
		Request: again, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}, nil
}
