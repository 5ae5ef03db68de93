package app

import (
	"strings"
	"testing"
)

func TestShareOptions(t *testing.T) {
	for name, c := range map[string]struct {
		o    Options
		want string // in the error; empty: none
	}{
		"nothing":                   {Options{}, ""},
		"on an address":             {Options{Store: "x", Share: ShareOptions{Listen: "10.0.0.1:9443"}}, ""},
		"of a cluster":              {Options{Cluster: ClusterOptions{Members: "x"}, Share: ShareOptions{Listen: "a:9443"}}, ""},
		"on all, reached by a name": {Options{Store: "x", Share: ShareOptions{Listen: ":9443", Advertise: "a.signalbox:9443"}}, ""},
		"alone":                     {Options{Share: ShareOptions{Listen: "10.0.0.1:9443"}}, "needs --store or --cluster.initial-members"},
		"on all":                    {Options{Store: "x", Share: ShareOptions{Listen: ":9443"}}, `--replicas.advertise-address must be given: other replicas can't reach ":9443"`},
		"on all of IPv6":            {Options{Store: "x", Share: ShareOptions{Listen: "[::]:9443"}}, `can't reach "[::]:9443"`},
		"without a port":            {Options{Store: "x", Share: ShareOptions{Listen: "10.0.0.1"}}, `--replicas.listen-address must be host:port, got "10.0.0.1"`},
		"reached by no host":        {Options{Store: "x", Share: ShareOptions{Listen: ":9443", Advertise: ":9443"}}, `--replicas.advertise-address must be host:port, got ":9443"`},
		"reached everywhere":        {Options{Store: "x", Share: ShareOptions{Listen: ":9443", Advertise: "0.0.0.0:9443"}}, `got "0.0.0.0:9443"`},
		"reached, and not there":    {Options{Store: "x", Share: ShareOptions{Advertise: "a:9443"}}, "which is not given"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.o.share()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
