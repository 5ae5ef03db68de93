package main

import "github.com/signalbox/signalbox/test/servers/cache"

// loki is Loki in its nested module. That is a module of its own, since Loki
// and the daemon can't agree on the versions of what they share.
func loki(b cache.Binary) nested {
	return nested{
		Binary: b, module: "test/servers/loki", program: "github.com/grafana/loki/v3/cmd/loki",
		version: "github.com/grafana/loki/v3/pkg/util/build.Version=" + b.Version,
		takes:   "about 5 minutes on two cores",
	}
}
