package alertmanager

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// What we ask, and the answers that our tests understand, are what
// Alertmanager's own description of API v2 allows.
func TestAPIContract(t *testing.T) {
	router := apiRouter(t)
	fixtures := map[string]string{"/api/v2/alerts": "present.json", "/api/v2/status": "status.json"}
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		in := validRequest(t, router, r)
		body := []byte(fixture(t, fixtures[r.URL.Path]))
		w.Header().Set("Content-Type", "application/json")
		err := openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
			RequestValidationInput: in, Status: http.StatusOK, Header: w.Header(), Body: io.NopCloser(bytes.NewReader(body)),
			Options: &openapi3filter.Options{IncludeResponseStatus: true},
		})
		if err != nil {
			t.Errorf("%s is not an answer of the contract: %v", fixtures[r.URL.Path], err)
		}
		_, _ = w.Write(body)
	}))
	defer srv.Close()
	src := opened(t, func(s *Settings) { s.URL, s.Receiver = srv.URL, "signalbox" })
	b, err := src.Present(t.Context(), at)
	if err != nil || len(b.Readings) != 2 || asked != 2 {
		t.Errorf("got %d readings of %d answers and %v", len(b.Readings), asked, err)
	}
}

// A contract that refuses nothing would prove nothing.
func TestAPIContractRefuses(t *testing.T) {
	router := apiRouter(t)
	r := httptest.NewRequest(http.MethodGet, "/api/v2/alerts?active=perhaps", nil)
	route, params, err := router.FindRoute(r)
	if err != nil {
		t.Fatal(err)
	}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route}
	if openapi3filter.ValidateRequest(r.Context(), in) == nil {
		t.Error("active=perhaps was accepted")
	}
	short := strings.Replace(fixture(t, "present.json"), `"updatedAt"`, `"updated"`, 1)
	err = openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(short)),
	})
	if err == nil {
		t.Error("an alert without updatedAt was accepted")
	}
}

func validRequest(t *testing.T, router routers.Router, r *http.Request) *openapi3filter.RequestValidationInput {
	route, params, err := router.FindRoute(r)
	if err != nil {
		t.Errorf("%s %s: %v", r.Method, r.URL, err)
		return nil
	}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route}
	if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
		t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	for name := range r.URL.Query() {
		if route.Operation.Parameters.GetByInAndName("query", name) == nil {
			t.Errorf("%s: the contract has no parameter %q", r.URL, name)
		}
	}
	return in
}

func apiRouter(t *testing.T) routers.Router {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(contracts(t), "alertmanager", "openapi.v2.json"))
	if err != nil {
		t.Fatal(err)
	}
	var old openapi2.T
	if err := json.Unmarshal(raw, &old); err != nil {
		t.Fatal(err)
	}
	doc, err := openapi2conv.ToV3(&old)
	if err != nil {
		t.Fatal(err)
	}
	doc.Servers = openapi3.Servers{{URL: "/api/v2"}}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return router
}
