package grafana

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// contract is Grafana's own description of the API.
type contract struct{ router routers.Router }

func readContract(path string) (*contract, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return nil, err
	}
	doc.Servers = openapi3.Servers{{URL: "/api"}}
	doc.Security = nil // the token is checked by our own rules
	typeParameters(doc)
	if err := allowNull(doc); err != nil {
		return nil, err
	}
	router, err := legacy.NewRouter(doc, openapi3.DisableExamplesValidation())
	if err != nil {
		return nil, err
	}
	return &contract{router: router}, nil
}

// allowNull says of values in frames that they may be null, which the
// description leaves open: the SDK writes null for what is missing or JSON has no
// word for.
func allowNull(doc *openapi3.T) error {
	at := doc.Components.Schemas["DSQueryWire"]
	for _, key := range []string{"results", "", "frames", "[]", "data", "values", "[]", "[]"} {
		switch {
		case at == nil || at.Value == nil:
			return errors.New("DSQueryWire has another shape")
		case key == "":
			at = at.Value.AdditionalProperties.Schema
		case key == "[]":
			at = at.Value.Items
		default:
			at = at.Value.Properties[key]
		}
	}
	if at == nil || at.Value == nil {
		return errors.New("DSQueryWire has another shape")
	}
	at.Value.Nullable = true
	return nil
}

// lists are the parameters of queries that may be given several times.
var lists = []string{"tags", "tag", "dashboardUIDs", "folderUIDs", "dashboardIds"}

// typeParameters gives types to the parameters of queries, of which the
// description says nothing but the names.
func typeParameters(doc *openapi3.T) {
	for _, path := range doc.Paths.Map() {
		for _, op := range path.Operations() {
			for _, p := range op.Parameters {
				if p.Value.In != "query" {
					continue
				}
				schema := openapi3.NewStringSchema()
				if slices.Contains(lists, p.Value.Name) {
					schema = openapi3.NewArraySchema().WithItems(schema)
				}
				p.Value.Schema = schema.NewRef()
			}
		}
	}
}

func (c *contract) request(r *http.Request, body []byte) error {
	in, err := c.input(r, body)
	if err != nil {
		return err
	}
	for name := range r.URL.Query() {
		if in.Route.Operation.Parameters.GetByInAndName("query", name) == nil {
			return fmt.Errorf("there is no parameter %q", name)
		}
	}
	return openapi3filter.ValidateRequest(context.WithoutCancel(r.Context()), in)
}

// response holds an answer to the description of a status.
func (c *contract) response(r *http.Request, sent []byte, status int, body []byte) error {
	in, err := c.input(r, sent)
	if err != nil {
		return nil // what the request breaks is told of it already
	}
	if in.Route.Operation.Responses.Status(status) == nil {
		return fmt.Errorf("status %d is not described", status)
	}
	return openapi3filter.ValidateResponse(context.WithoutCancel(r.Context()), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
	})
}

// input makes a copy of the request that the validator may read to its end.
func (c *contract) input(r *http.Request, body []byte) (*openapi3filter.RequestValidationInput, error) {
	again := r.Clone(context.WithoutCancel(r.Context()))
	again.Body = io.NopCloser(bytes.NewReader(body))
	route, params, err := c.router.FindRoute(again)
	if err != nil {
		return nil, err
	}
	return &openapi3filter.RequestValidationInput{
		Request: again, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}, nil
}
