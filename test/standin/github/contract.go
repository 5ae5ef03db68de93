package github

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// contract is GitHub's own description of the API.
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
	// An id is a number and a text at once, and oneOf allows only one.
	if p := doc.Components.Parameters["workflow-id"]; p != nil && p.Value != nil {
		p.Value.Schema = openapi3.NewSchemaRef("", openapi3.NewStringSchema())
	}
	doc.Servers = openapi3.Servers{{URL: "/"}}
	router, err := legacy.NewRouter(doc, openapi3.DisableExamplesValidation())
	if err != nil {
		return nil, err
	}
	return &contract{router: router}, nil
}

func (c *contract) request(r *http.Request) error {
	in, err := c.input(r)
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

func (c *contract) response(r *http.Request, status int, header http.Header, body []byte) error {
	in, err := c.input(r)
	if err != nil {
		return nil // what the request breaks is told of it already
	}
	if in.Route.Operation.Responses.Status(status) == nil {
		return nil // not described there: errors are described once for all
	}
	return openapi3filter.ValidateResponse(context.WithoutCancel(r.Context()), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)),
	})
}

func (c *contract) input(r *http.Request) (*openapi3filter.RequestValidationInput, error) {
	again := r.Clone(context.WithoutCancel(r.Context()))
	again.Body = http.NoBody
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		again.Body = body
	}
	route, params, err := c.router.FindRoute(again)
	if err != nil {
		return nil, err
	}
	return &openapi3filter.RequestValidationInput{Request: again, PathParams: params, Route: route}, nil
}
