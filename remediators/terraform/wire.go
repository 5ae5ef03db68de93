package terraform

import (
	"encoding/json"
	"strings"
	"time"
)

// identity is JSON:API's reference to a resource.
type identity struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

type one struct {
	Data *identity `json:"data"`
}

type workspace struct {
	ID         string `json:"id"`
	Attributes struct {
		Locked           bool            `json:"locked"`
		LockedReason     string          `json:"locked-reason"`
		ExecutionMode    string          `json:"execution-mode"`
		StructuredOutput bool            `json:"structured-run-output-enabled"`
		Permissions      map[string]bool `json:"permissions"`
	} `json:"attributes"`
	Relationships struct {
		LockedBy one `json:"locked-by"`
	} `json:"relationships"`
}

type variable struct {
	ID         string `json:"id"`
	Attributes struct {
		Key       string  `json:"key"`
		Value     *string `json:"value"`
		Category  string  `json:"category"`
		HCL       bool    `json:"hcl"`
		Sensitive bool    `json:"sensitive"`
		Version   string  `json:"version-id"`
	} `json:"attributes"`
}

type run struct {
	ID         string `json:"id"`
	Attributes struct {
		Status    string    `json:"status"`
		Message   string    `json:"message"`
		CreatedAt time.Time `json:"created-at"`
		PlanOnly  bool      `json:"plan-only"`
		Actions   struct {
			Confirmable bool `json:"is-confirmable"`
		} `json:"actions"`
		At map[string]string `json:"status-timestamps"`
	} `json:"attributes"`
	Relationships struct {
		Plan one `json:"plan"`
	} `json:"relationships"`
}

// planCounts is a plan without its content.
type planCounts struct {
	Attributes struct {
		Status       string `json:"status"`
		Additions    int    `json:"resource-additions"`
		Changes      int    `json:"resource-changes"`
		Destructions int    `json:"resource-destructions"`
		Imports      int    `json:"resource-imports"`
	} `json:"attributes"`
}

// States of a run after which nothing comes. planned_and_saved waits for a
// person, and is in nobody's way.
const (
	stateApplied    = "applied"
	stateNoChanges  = "planned_and_finished"
	stateSaved      = "planned_and_saved"
	stateDiscarded  = "discarded"
	stateErrored    = "errored"
	stateCanceled   = "canceled"
	stateForce      = "force_canceled"
	stateSoftFailed = "policy_soft_failed"
	stateAssessed   = "assessed"
	// A policy failed, and a person may override it.
	stateOverride   = "policy_override"
	stateTFOverride = "tf_policy_override"
)

func (r *run) succeeded() bool {
	return r.Attributes.Status == stateApplied || r.Attributes.Status == stateNoChanges
}

func (r *run) failed() bool {
	switch r.Attributes.Status {
	case stateDiscarded, stateErrored, stateCanceled, stateForce, stateSoftFailed:
		return true
	}
	return false
}

// inTheWay reports whether the workspace is busy with it: a state that is not
// known is not finished.
func (r *run) inTheWay() bool {
	return !r.Attributes.PlanOnly && !r.succeeded() && !r.failed() && r.Attributes.Status != stateSaved && r.Attributes.Status != stateAssessed
}

// said are the titles and details of JSON:API's errors.
func said(body []byte) string {
	var in struct {
		Errors []struct{ Title, Detail string }
	}
	if json.Unmarshal(body, &in) != nil {
		return ""
	}
	var words []string
	for _, e := range in.Errors {
		words = append(words, e.Title, e.Detail)
	}
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}
