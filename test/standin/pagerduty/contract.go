package pagerduty

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// contract is PagerDuty's own description of the API.
type contract struct{ router routers.Router }

func readContract(path, server string) (*contract, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return nil, err
	}
	mend(doc)
	doc.Servers = openapi3.Servers{{URL: server}}
	router, err := legacy.NewRouter(doc, openapi3.DisableExamplesValidation())
	if err != nil {
		return nil, err
	}
	return &contract{router: router}, nil
}

// mend takes back where PagerDuty's description contradicts itself: it says
// that the details of an incident's body are an object, and has text in each of
// its examples, as its own clients do; and it has two names for the log entry
// of an acknowledgement, of which both are asked for.
func mend(doc *openapi3.T) {
	if doc.Components == nil {
		return
	}
	if body := doc.Components.Schemas["IncidentBody"]; body != nil && body.Value.Properties["details"] != nil {
		body.Value.Properties["details"].Value.Type = nil
	}
	if entry := doc.Components.Schemas["AcknowledgeLogEntry"]; entry != nil {
		for _, part := range entry.Value.AllOf {
			if kind := part.Value.Properties["type"]; part.Ref == "" && kind != nil {
				kind.Value.Enum = []any{"acknowledge_log_entry"}
			}
		}
	}
}

func (c *contract) request(r *http.Request, body []byte) error {
	in, err := c.input(r, body)
	if err != nil {
		return err
	}
	return openapi3filter.ValidateRequest(context.WithoutCancel(r.Context()), in)
}

func (c *contract) response(r *http.Request, sent []byte, status int, header http.Header, body []byte) error {
	in, err := c.input(r, sent)
	if err != nil {
		return err
	}
	responses := in.Route.Operation.Responses
	if responses.Status(status) == nil {
		return nil // not described: a fault of the network between, not PagerDuty's answer
	}
	if len(header) == 0 {
		return errors.New("no Content-Type")
	}
	return openapi3filter.ValidateResponse(context.WithoutCancel(r.Context()), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)),
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
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
			// The id of a reference is described as read-only, and as required.
			ExcludeReadOnlyValidations: true,
		},
	}, nil
}
