// Package iam is a stand-in for the access keys of AWS' identity service: as
// much of its query protocol (version 2010-05-08) as is asked for. What the real
// one would refuse, a request that is not signed, an action or a parameter that
// it does not know, is a violation.
package iam

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Key is an access key of the one user.
type Key struct {
	ID, Status string
	Used       time.Time // last; zero: never
}

// Server is the stand-in, safe for concurrent use.
type Server struct {
	signer string // access key id with which requests are signed

	mu         sync.Mutex
	keys       []Key // oldest first
	asked      []string
	violations []string
	answer     map[string]http.HandlerFunc
	lost       bool
}

// New returns a stand-in to which requests are signed with a key of that id.
func New(signer string, keys ...Key) *Server {
	return &Server{signer: signer, keys: keys, answer: map[string]http.HandlerFunc{}}
}

// parameters are those of each action.
var parameters = map[string][]string{
	"ListAccessKeys":       {"UserName"},
	"GetAccessKeyLastUsed": {"AccessKeyId"},
	"UpdateAccessKey":      {"AccessKeyId", "Status", "UserName"},
	"DeleteAccessKey":      {"AccessKeyId", "UserName"},
}

// Writes reports whether an action changes something.
func Writes(action string) bool { return action == "UpdateAccessKey" || action == "DeleteAccessKey" }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.check(r)
	action := r.PostForm.Get("Action")
	s.asked = append(s.asked, action)
	instead := s.answer[action]
	if instead != nil && !s.lost {
		instead(w, r)
		return
	}
	body := s.do(action, r.PostForm.Get("AccessKeyId"), r.PostForm.Get("Status"))
	if instead != nil {
		instead(w, r)
		return
	}
	fmt.Fprintf(w, `<%[1]sResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">%[2]s<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></%[1]sResponse>`, action, body)
}

func (s *Server) check(r *http.Request) {
	violate := func(format string, args ...any) { s.violations = append(s.violations, fmt.Sprintf(format, args...)) }
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || r.URL.Path != "/" {
		violate("not a query: %s %s, %v", r.Method, r.URL, err)
	}
	action := r.PostForm.Get("Action")
	given := slices.DeleteFunc(slices.Sorted(maps.Keys(r.PostForm)), func(k string) bool { return k == "Action" || k == "Version" })
	if !slices.Equal(given, parameters[action]) || r.PostForm.Get("Version") != "2010-05-08" {
		violate("%s with %v", action, given)
	}
	if a := r.Header.Get("Authorization"); !strings.HasPrefix(a, "AWS4-HMAC-SHA256 Credential="+s.signer+"/") || !strings.Contains(a, "/us-east-1/iam/aws4_request") || r.Header.Get("X-Amz-Date") == "" {
		violate("%s is not signed", action)
	}
}

func (s *Server) do(action, id, status string) string {
	i := slices.IndexFunc(s.keys, func(k Key) bool { return k.ID == id })
	switch action {
	case "ListAccessKeys":
		var members strings.Builder
		for i, k := range s.keys {
			fmt.Fprintf(&members, `<member><UserName>deploy</UserName><AccessKeyId>%s</AccessKeyId><Status>%s</Status><CreateDate>2026-0%d-01T00:00:00Z</CreateDate></member>`, k.ID, k.Status, i+1)
		}
		return `<ListAccessKeysResult><IsTruncated>false</IsTruncated><AccessKeyMetadata>` + members.String() + `</AccessKeyMetadata></ListAccessKeysResult>`
	case "GetAccessKeyLastUsed":
		if i < 0 {
			return ""
		}
		return `<GetAccessKeyLastUsedResult><UserName>deploy</UserName><AccessKeyLastUsed><Region>us-east-1</Region><ServiceName>s3</ServiceName><LastUsedDate>` + s.keys[i].Used.UTC().Format(time.RFC3339) + `</LastUsedDate></AccessKeyLastUsed></GetAccessKeyLastUsedResult>`
	case "UpdateAccessKey":
		if i >= 0 {
			s.keys[i].Status = status
		}
	case "DeleteAccessKey":
		s.keys = slices.DeleteFunc(s.keys, func(k Key) bool { return k.ID == id })
	}
	return ""
}

// Answer answers an action in the service's place from now on; lost: after its
// effect.
func (s *Server) Answer(action string, h http.HandlerFunc, lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer[action], s.lost = h, lost
}

// Set changes the keys.
func (s *Server) Set(change func(keys []Key)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.keys)
}

// Keys are the user's, oldest first.
func (s *Server) Keys() []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.keys)
}

// Wrote are the writes that were asked for.
func (s *Server) Wrote() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.asked {
		if Writes(a) {
			list = append(list, a)
		}
	}
	return list
}

// Violations are what the service would not have taken.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}
