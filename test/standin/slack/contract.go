package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// contract is Slack's own description of the Web API.
type contract struct{ router routers.Router }

func readContract(path string) (*contract, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var old openapi2.T
	if err := json.Unmarshal(raw, &old); err != nil {
		return nil, err
	}
	for name, item := range old.Paths {
		if methods[strings.TrimPrefix(name, "/")] == nil { // the rest is not served here
			delete(old.Paths, name)
			continue
		}
		for _, op := range item.Operations() {
			mend(op)
		}
	}
	doc, err := openapi2conv.ToV3(&old)
	if err != nil {
		return nil, err
	}
	doc.Servers = openapi3.Servers{{URL: "/api"}}
	router, err := legacy.NewRouter(doc, openapi3.DisableExamplesValidation(), openapi3.DisableSchemaDefaultsValidation())
	if err != nil {
		return nil, err
	}
	return &contract{router: router}, nil
}

// mend leaves out the parameter "token": the description is of before Slack
// asked for "Authorization: Bearer", which is checked by the stand-in itself.
// A channel in which nothing was said is described nowhere.
func mend(op *openapi2.Operation) {
	if ok := op.Responses.Value("200"); ok != nil && ok.Schema != nil && ok.Schema.Value != nil {
		if list := ok.Schema.Value.Properties["messages"]; list != nil && list.Value != nil {
			list.Value.MinItems = 0
		}
	}
	kept := op.Parameters[:0]
	for _, p := range op.Parameters {
		if p.In != "header" && p.Name != "token" {
			kept = append(kept, p)
		}
	}
	op.Parameters = kept
}

func (c *contract) request(r *http.Request, body []byte) error {
	in, err := c.input(r, body)
	if err != nil {
		return err
	}
	return openapi3filter.ValidateRequest(context.WithoutCancel(r.Context()), in)
}

// response holds an answer to the description: a success by the one of 200, an
// error, which comes with 200 too, by the other.
func (c *contract) response(r *http.Request, sent, answer []byte) error {
	in, err := c.input(r, sent)
	if err != nil {
		return err
	}
	if answer, err = described(r, answer); err != nil {
		return err
	}
	status := http.StatusOK
	if !bytes.Contains(answer, []byte(`"ok":true`)) {
		status = http.StatusTeapot // no status of its own: the default
	}
	return openapi3filter.ValidateResponse(context.WithoutCancel(r.Context()), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(answer)),
	})
}

// described is an answer without what is younger than the description: the
// metadata of messages, and the cursor of some lists.
func described(r *http.Request, answer []byte) ([]byte, error) {
	var a map[string]any
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, err
	}
	messages, _ := a["messages"].([]any)
	for _, m := range messages {
		if m, ok := m.(map[string]any); ok {
			delete(m, "metadata")
		}
	}
	if !strings.HasSuffix(r.URL.Path, "conversations.list") {
		delete(a, "response_metadata")
	}
	return json.Marshal(a)
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
