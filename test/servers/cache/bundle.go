package cache

import (
	"path/filepath"
	"strings"
)

// Bundle is a server that comes in several Debian packages, unpacked into one
// folder together with what it needs and the machine lacks.
type Bundle struct {
	Name    string
	Version string   // as in a file's name, or as the program shows it
	Program string   // its path within, as a pattern; it must be there
	Shows   []string // arguments that make Program show its version; none: the path tells it
	// Packages are always unpacked; those that they depend on only where the
	// machine does not have them.
	Packages []string
}

// Postgres is the version that Debian 12 packages.
func Postgres() Bundle {
	return Bundle{
		Name: "postgresql", Version: "15", Program: "usr/lib/postgresql/15/bin/postgres", Shows: []string{"--version"},
		Packages: []string{"postgresql-15", "postgresql-client-15"},
	}
}

// Redis is the version that Debian 12 packages. Its server is in the package of
// its tools.
func Redis() Bundle {
	return Bundle{Name: "redis", Version: "7.0", Program: "usr/bin/redis-cli", Shows: []string{"--version"}, Packages: []string{"redis-server", "redis-tools"}}
}

// RabbitMQ is the version that Debian 12 packages, with its Erlang.
func RabbitMQ() Bundle {
	b := Bundle{Name: "rabbitmq", Version: "3.10", Program: "usr/lib/rabbitmq/lib/rabbitmq_server-3.10.*/plugins", Packages: []string{"rabbitmq-server", "erlang-base"}}
	for _, part := range []string{
		"asn1", "crypto", "eldap", "ftp", "inets", "mnesia", "os-mon", "parsetools", "public-key", "runtime-tools",
		"snmp", "ssl", "syntax-tools", "tftp", "tools", "xmerl",
	} {
		b.Packages = append(b.Packages, "erlang-"+part)
	}
	return b
}

// PostgresExporter is the version that Debian 12 packages.
func PostgresExporter() Binary { return Binary{Name: "prometheus-postgres-exporter", Version: "0.11"} }

// RedisExporter is the version that Debian 12 packages.
func RedisExporter() Binary { return Binary{Name: "prometheus-redis-exporter", Version: "1.45"} }

// BlackboxExporter is the version that Debian 12 packages.
func BlackboxExporter() Binary { return Binary{Name: "prometheus-blackbox-exporter", Version: "0.23"} }

// Path is the folder where the bundle is, or would be, kept.
func (b Bundle) Path() (string, error) { return Binary{Name: b.Name, Version: b.Version}.Path() }

// Find returns the path of the bundle's program below dir; "": it is not there.
func (b Bundle) Find(dir string) string {
	found, err := filepath.Glob(filepath.Join(dir, b.Program))
	if err != nil || len(found) == 0 {
		return ""
	}
	return found[0]
}

// Libraries are the folders below dir with the libraries that the machine
// lacked, as LD_LIBRARY_PATH has them.
func (b Bundle) Libraries(dir string) string {
	var found []string
	for _, pattern := range []string{"usr/lib/*-linux-gnu", "lib/*-linux-gnu"} {
		dirs, err := filepath.Glob(filepath.Join(dir, pattern))
		if err == nil {
			found = append(found, dirs...)
		}
	}
	return strings.Join(found, ":")
}
