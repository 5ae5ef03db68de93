package etcd_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/store/etcd"
	"github.com/signalbox/signalbox/test/certs"
)

func TestParsePeers(t *testing.T) {
	got, err := etcd.ParsePeers("a=https://10.0.0.1:2380, b=https://b.example:2380/,c=https://[fd00::1]:1")
	want := []etcd.Peer{{"a", "10.0.0.1:2380"}, {"b", "b.example:2380"}, {"c", "[fd00::1]:1"}}
	if err != nil || len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("ParsePeers() = %v, %v, want %v", got, err, want)
	}
	for text, want := range map[string]string{
		"":                                    `name=https://host:port of every member, comma separated, got ""`,
		"a":                                   `got "a"`,
		"a=https://h:1,":                      `got ""`,
		"=https://h:1":                        `a name must be letters, digits, '.', '_' and '-', at most 63, got ""`,
		"a b=https://h:1":                     `got "a b"`,
		strings.Repeat("a", 64) + "=https://": "at most 63",
		"a=http://h:1":                        `member a: an address must be https://host:port and no more, got "http://h:1"`,
		"a=h:1":                               `got "h:1"`,
		"a=https://h":                         `got "https://h"`,
		"a=https://h:0":                       `got "https://h:0"`,
		"a=https://h:70000":                   `got "https://h:70000"`,
		"a=https://:1":                        `got "https://:1"`,
		"a=https://h:1/x":                     `got "https://h:1/x"`,
		"a=https://u@h:1":                     `got "https://u@h:1"`,
		"a=https://0.0.0.0:1":                 "at which peers reach the member",
		"a=https://h:1,a=https://h:2":         "each name and each address must stand once, got a=https://h:1 and a=https://h:2",
		"a=https://h:1,b=https://h:1":         "each name and each address must stand once",
	} {
		if _, err := etcd.ParsePeers(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParsePeers(%q) = %v, want %q", text, err, want)
		}
	}
}

// What can't work is refused at the start, with the flag, the rule and the value.
func TestClusterIsChecked(t *testing.T) {
	ca := certs.New(t)
	cert, key := ca.Issue("a", certs.Leaf{Hosts: []string{"127.0.0.1"}})
	otherCert, otherKey := certs.New(t).Issue("a", certs.Leaf{Hosts: []string{"127.0.0.1"}})
	clientOnly, clientKey := ca.Issue("client", certs.Leaf{Hosts: []string{"127.0.0.1"}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	elsewhere, elsewhereKey := ca.Issue("elsewhere", certs.Leaf{Hosts: []string{"elsewhere.example"}})
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := etcd.Cluster{
		Member: "a", Members: []etcd.Peer{{"a", "127.0.0.1:1"}, {"b", "127.0.0.1:2"}}, CAFile: ca.File, CertFile: cert, KeyFile: key,
	}
	for name, tt := range map[string]struct {
		change func(*etcd.Cluster)
		want   string
	}{
		"cluster's name":    {func(c *etcd.Cluster) { c.Name = "a/b" }, `--cluster.name must be letters, digits`},
		"no members":        {func(c *etcd.Cluster) { c.Members = nil }, "--cluster.initial-members must be"},
		"unknown name":      {func(c *etcd.Cluster) { c.Member = "x" }, `--cluster.member-name must be one of --cluster.initial-members (a, b), got "x"`},
		"join whom":         {func(c *etcd.Cluster) { c.Members, c.Join = c.Members[:1], true }, "--cluster.join needs the members"},
		"listen by name":    {func(c *etcd.Cluster) { c.Listen = "localhost:1" }, `--cluster.listen-address must be an IP address and a port, got "localhost:1"`},
		"listen anywhere":   {func(c *etcd.Cluster) { c.Listen = "127.0.0.1:0" }, "--cluster.listen-address must be"},
		"wildcard":          {func(c *etcd.Cluster) { c.AllowedHostnames = []string{"*.example"} }, `--cluster.allowed-hostnames must be names or addresses without *, got "*.example"`},
		"allows not itself": {func(c *etcd.Cluster) { c.AllowedHostnames = []string{"b.example"} }, "--cluster.allowed-hostnames must hold a name of --cluster.cert-file"},
		"no CA":             {func(c *etcd.Cluster) { c.CAFile = "" }, "--cluster.ca-file must be given: peers are reached by mutual TLS only"},
		"no certificate":    {func(c *etcd.Cluster) { c.CertFile = "" }, "--cluster.cert-file must be given"},
		"no key":            {func(c *etcd.Cluster) { c.KeyFile = "" }, "--cluster.key-file must be given"},
		"CA is not there":   {func(c *etcd.Cluster) { c.CAFile = "none" }, "--cluster.ca-file: open"},
		"CA is empty":       {func(c *etcd.Cluster) { c.CAFile = empty }, "--cluster.ca-file must hold PEM certificates"},
		"another's key":     {func(c *etcd.Cluster) { c.KeyFile = otherKey }, "--cluster.cert-file and --cluster.key-file must be a PEM certificate and its key"},
		"another CA":        {func(c *etcd.Cluster) { c.CertFile, c.KeyFile = otherCert, otherKey }, "--cluster.cert-file must be a server certificate under --cluster.ca-file"},
		"client only":       {func(c *etcd.Cluster) { c.CertFile, c.KeyFile = clientOnly, clientKey }, "--cluster.cert-file must be a server certificate"},
		"another host":      {func(c *etcd.Cluster) { c.CertFile, c.KeyFile = elsewhere, elsewhereKey }, "--cluster.cert-file must be for the host of member a"},
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			tt.change(&c)
			e, err := etcd.Start(t.Context(), etcd.EmbeddedOptions{Dir: testDir(t), Cluster: &c})
			if err == nil {
				_ = e.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Start() = %v, want %q", err, tt.want)
			}
		})
	}
}

// With a certificate that has expired the daemon starts, and says what it
// waits for: it has pages to send.
func TestExpiredCertificateStarts(t *testing.T) {
	ca := certs.New(t)
	cert, key := ca.Issue("a", certs.Leaf{Hosts: []string{"127.0.0.1"}, Ends: time.Now().Add(-time.Hour)})
	e := start(t, etcd.EmbeddedOptions{Cluster: &etcd.Cluster{
		Member: "a", Members: []etcd.Peer{{"a", freeAddress(t)}, {"b", freeAddress(t)}}, Listen: freeAddress(t), CAFile: ca.File, CertFile: cert, KeyFile: key,
	}})
	eventually(t, "it waits", func() bool { return strings.Contains(e.Status().Waits, "all members of the cluster") })
}

// A directory is of one member of one cluster: etcd itself would go on with
// what it has, whatever it is told.
func TestDirectoryIsOfOneMember(t *testing.T) {
	ca := certs.New(t)
	cert, key := ca.Issue("all", certs.Leaf{Hosts: []string{"127.0.0.1"}})
	at := freeAddress(t)
	c := etcd.Cluster{
		Name: "one", Member: "a", Listen: at, Members: []etcd.Peer{{"a", at}, {"b", freeAddress(t)}}, CAFile: ca.File, CertFile: cert, KeyFile: key,
	}
	of := func(dir string, change func(*etcd.Cluster)) error {
		o := etcd.EmbeddedOptions{Dir: dir}
		if change != nil {
			own := c
			change(&own)
			o.Cluster = &own
		}
		e, err := etcd.Start(t.Context(), o)
		if err == nil {
			_ = e.Close()
		}
		return err
	}
	alone, member := testDir(t), testDir(t)
	first := startUp(t, etcd.EmbeddedOptions{Dir: alone})
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := of(member, func(*etcd.Cluster) {}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		dir    string
		change func(*etcd.Cluster)
		want   string
	}{
		"a store of one node":  {alone, func(*etcd.Cluster) {}, "holds the data of a store of one node, which is no member of one: start it with --cluster.initial-members=a=https://" + at + " alone"},
		"without the cluster":  {member, nil, "is of member a of the cluster one: --cluster.initial-members must be given"},
		"another cluster":      {member, func(c *etcd.Cluster) { c.Name = "two" }, `is of the cluster one: --cluster.name must be that, got "two"`},
		"another member of it": {member, func(c *etcd.Cluster) { c.Member = "b" }, `is of member a: --cluster.member-name must be that, got "b"`},
	} {
		if err := of(tt.dir, tt.change); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Start() = %v, want %q", name, err, tt.want)
		}
	}
	for name, err := range map[string]error{"the same member": of(member, func(*etcd.Cluster) {}), "the same node": of(alone, nil)} {
		if err != nil {
			t.Errorf("%s: Start() = %v", name, err)
		}
	}
}

// Who is killed with its member is followed within 5 s, where one election does
// and nothing is slow: by then the store has elected, has let the lease of the
// killed one run out, counted anew, and has looked for it.
func TestSuccessorIsSoonEnough(t *testing.T) {
	const looks = 500 * time.Millisecond // etcd looks that often for leases that ran out
	election, extension := etcd.LongestElection(etcd.Cluster{Member: "a", Members: []etcd.Peer{{Name: "a", Address: "10.0.0.1:2380"}}})
	if all := election + extension + etcd.ClusterTTL + looks; all > 4*time.Second {
		t.Errorf("a successor leads up to %v after a crash, want 4 s at most, so that 1 s of 5 is left for all else", all)
	}
}
