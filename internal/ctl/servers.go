package ctl

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// servers are the replicas' control addresses, in the order in which they are
// asked. It is the value of a flag.
type servers struct {
	all   []string
	given bool // those of all are not the default
}

func (s *servers) String() string { return strings.Join(s.all, ",") }

// Set implements flag.Value.
func (s *servers) Set(text string) error {
	if !s.given {
		s.all, s.given = nil, true
	}
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			return fmt.Errorf("must be URLs, comma separated, got %q", text)
		}
		s.all = append(s.all, one)
	}
	return nil
}

// one refuses several servers, for what is about one process.
func (s *servers) one(command string) error {
	if len(s.all) > 1 {
		return &usageError{fmt.Sprintf("%s is about one replica: give one --server, got %s", command, s)}
	}
	return nil
}

// none is that no server could do it: each with its reason, where there are
// several.
func (s *servers) none(failed []error) error {
	if len(failed) == 1 {
		return failed[0]
	}
	all, answered := make([]string, len(failed)), 0
	for i, err := range failed {
		all[i] = s.all[i] + ": " + err.Error()
		if r := (*refused)(nil); errors.As(err, &r) {
			answered = r.status
		}
	}
	text := "none of the servers could do it:\n  " + strings.Join(all, "\n  ")
	if answered != 0 {
		return &refused{answered, text}
	}
	return &unreachable{errors.New(text)}
}

// refused is an answer that is not good.
type refused struct {
	status int
	text   string
}

func (r *refused) Error() string { return r.text }

// passes reports whether the next server may be asked: this one can't do it now
// (it stands by, or has no store), or was not reached. A change that was sent and
// not answered may be done, and is not sent twice.
func passes(method string, err error) bool {
	if r := (*refused)(nil); errors.As(err, &r) {
		return r.status == http.StatusServiceUnavailable
	}
	if n := (*unreachable)(nil); !errors.As(err, &n) {
		return false
	}
	dial := (*net.OpError)(nil)
	return method == http.MethodGet || errors.As(err, &dial) && dial.Op == "dial"
}
