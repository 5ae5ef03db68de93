package app

import (
	"strings"
	"testing"
)

func TestClusterFlags(t *testing.T) {
	good := ClusterOptions{Members: "a=https://127.0.0.1:1,b=https://127.0.0.1:2", CA: "ca", Cert: "cert", Key: "key"}
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"join without members":   {func(o *Options) { o.Cluster = ClusterOptions{Join: true} }, "--cluster.initial-members must be name=https://host:port of every member"},
		"a file without members": {func(o *Options) { o.Cluster = ClusterOptions{CA: "ca"} }, "--cluster.initial-members must be"},
		"an external store too":  {func(o *Options) { o.Store = "https://etcd:2379" }, "--store and --cluster.initial-members must not both be given"},
		"members":                {func(o *Options) { o.Cluster.Members = "a" }, `--cluster.initial-members: must be name=https://host:port of every member, comma separated, got "a"`},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Cluster: good, Replica: "a"}
			c.change(&o)
			if _, err := o.cluster(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if c, err := (&Options{Store: "https://etcd:2379"}).cluster(); c != nil || err != nil {
		t.Errorf("without flags: got %v, %v, want no cluster", c, err)
	}
	o := Options{Cluster: good, Replica: "a"}
	o.Cluster.AllowedHostnames = "x.test, y.test"
	c, err := o.cluster()
	if err != nil || c.Member != "a" || len(c.Members) != 2 || strings.Join(c.AllowedHostnames, " ") != "x.test y.test" {
		t.Errorf("got %+v, %v, want the replica's name for the member's", c, err)
	}
	o.Cluster.Member = "b"
	if c, err := o.cluster(); err != nil || c.Member != "b" {
		t.Errorf("got %+v, %v, want the member's own name", c, err)
	}
}

// Where the store is others', its members are not asked for; and who may not
// stop all remediation may not take its store away.
func TestMembersAreRefused(t *testing.T) {
	h := newStaffed(t).open()
	for name, c := range map[string]struct {
		token, method, body string
		status              int
		says                string
	}{
		"a viewer lists":   {viewerToken, "GET", "", 422, "its members are its operators'"},
		"on call lists":    {oncallToken, "GET", "", 403, "view on all"},
		"nobody lists":     {"", "GET", "", 401, "credential"},
		"a viewer removes": {viewerToken, "POST", `{"do":"remove","name":"a"}`, 403, "kill on all"},
		"on call removes":  {oncallToken, "POST", `{"do":"remove","name":"a"}`, 403, "kill on all"},
		"lead removes":     {leadToken, "POST", `{"do":"remove","name":"a"}`, 422, "its members are its operators'"},
		"an unknown field": {leadToken, "POST", `{"do":"remove","name":"a","force":true}`, 400, "force"},
	} {
		t.Run(name, func(t *testing.T) {
			got := h.as(c.token, c.method, "/api/v1/store/members", c.body)
			if got.status != c.status || !strings.Contains(got.body, c.says) {
				t.Errorf("got %d %s, want %d that says %q", got.status, got.body, c.status, c.says)
			}
		})
	}
}
