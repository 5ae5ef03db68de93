package etcd

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Cluster says how a member takes part in a cluster of several. The words of
// its errors are the daemon's flags.
type Cluster struct {
	// Name of the cluster, the same on all members: with the first members it
	// makes the id that keeps two clusters apart.
	Name string
	// Member is the stable name of this member, one of Members.
	Member string
	// Listen is the address, an IP and a port, on which peers are answered: by
	// default all addresses, with the port that peers use.
	Listen string
	// Members are the members that the cluster begins with, or has when this
	// one joins; this one is among them.
	Members []Peer
	// Join makes a member without data join a cluster that runs. With data it
	// says nothing.
	Join bool
	// CAFile, CertFile and KeyFile are PEM files: all are needed. The
	// certificate is read at each handshake, the CA at a start.
	CAFile, CertFile, KeyFile string
	// AllowedHostnames are the names and addresses of which a peer's
	// certificate must hold one: by default the hosts of Members.
	AllowedHostnames []string

	byHosts bool // AllowedHostnames are the hosts of Members
}

// Peer is one member as its peers reach it.
type Peer struct {
	Name    string
	Address string // host:port
}

// DefaultClusterName is the name of a cluster that was given none.
const DefaultClusterName = "signalbox"

var goodName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,62})$`)

// ParsePeers reads name=https://host:port,… as --cluster.initial-members has it.
func ParsePeers(text string) ([]Peer, error) {
	var peers []Peer
	for part := range strings.SplitSeq(text, ",") {
		name, address, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return nil, fmt.Errorf("must be name=https://host:port of every member, comma separated, got %q", part)
		}
		if !goodName.MatchString(name) {
			return nil, fmt.Errorf("a name must be letters, digits, '.', '_' and '-', at most 63, got %q", name)
		}
		host, err := ParseAddress(address)
		if err != nil {
			return nil, fmt.Errorf("member %s: %w", name, err)
		}
		for _, p := range peers {
			if p.Name == name || p.Address == host {
				return nil, fmt.Errorf("each name and each address must stand once, got %s=https://%s and %s=https://%s", p.Name, p.Address, name, host)
			}
		}
		peers = append(peers, Peer{Name: name, Address: host})
	}
	return peers, nil
}

// ParseAddress returns the host:port of https://host:port.
func ParseAddress(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || !goodPort(u.Port()) || strings.TrimSuffix(text, "/") != "https://"+u.Host {
		return "", fmt.Errorf("an address must be https://host:port and no more, got %q", text)
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsUnspecified() {
		return "", fmt.Errorf("an address must be one at which peers reach the member, got %q", text)
	}
	return u.Host, nil
}

func goodPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// complete checks c and fills in its defaults.
func (c *Cluster) complete() error {
	if err := c.completeNames(); err != nil {
		return err
	}
	own := c.own()
	_, port, _ := net.SplitHostPort(own.Address)
	c.Listen = cmp.Or(c.Listen, net.JoinHostPort("0.0.0.0", port))
	if at, err := netip.ParseAddrPort(c.Listen); err != nil || at.Port() == 0 {
		return fmt.Errorf("--cluster.listen-address must be an IP address and a port, got %q", c.Listen)
	}
	if c.byHosts = len(c.AllowedHostnames) == 0; c.byHosts {
		for _, p := range c.Members {
			host, _, _ := net.SplitHostPort(p.Address)
			c.AllowedHostnames = append(c.AllowedHostnames, host)
		}
	}
	if i := slices.IndexFunc(c.AllowedHostnames, func(h string) bool { return strings.TrimSpace(h) == "" || strings.Contains(h, "*") }); i >= 0 {
		return fmt.Errorf("--cluster.allowed-hostnames must be names or addresses without *, got %q", c.AllowedHostnames[i])
	}
	return c.completeFiles(own)
}

// completeNames checks who the members are, which is all that a restore needs.
func (c *Cluster) completeNames() error {
	c.Name = cmp.Or(c.Name, DefaultClusterName)
	if !goodName.MatchString(c.Name) {
		return fmt.Errorf("--cluster.name must be letters, digits, '.', '_' and '-', at most 63, got %q", c.Name)
	}
	if len(c.Members) == 0 {
		return errors.New("--cluster.initial-members must be name=https://host:port of every member, got none")
	}
	if c.own() == nil {
		return fmt.Errorf("--cluster.member-name must be one of --cluster.initial-members (%s), got %q", c.names(), c.Member)
	}
	if c.Join && len(c.Members) < 2 {
		return fmt.Errorf("--cluster.join needs the members of the cluster that is joined in --cluster.initial-members, got %s alone", c.names())
	}
	return nil
}

func (c *Cluster) completeFiles(own *Peer) error {
	for _, f := range []struct {
		flag string
		path *string
	}{
		{"--cluster.ca-file", &c.CAFile},
		{"--cluster.cert-file", &c.CertFile},
		{"--cluster.key-file", &c.KeyFile},
	} {
		if *f.path == "" {
			return fmt.Errorf("%s must be given: peers are reached by mutual TLS only", f.flag)
		}
		abs, err := filepath.Abs(*f.path) // the member runs in its data directory
		if err != nil {
			return fmt.Errorf("%s: %w", f.flag, err)
		}
		*f.path = abs
	}
	return c.checkFiles(own)
}

// own is this member's entry; nil where it has none.
func (c *Cluster) own() *Peer {
	i := slices.IndexFunc(c.Members, func(p Peer) bool { return p.Name == c.Member })
	if i < 0 {
		return nil
	}
	return &c.Members[i]
}

func (c *Cluster) names() string {
	names := make([]string, len(c.Members))
	for i, p := range c.Members {
		names[i] = p.Name
	}
	return strings.Join(names, ", ")
}

// allows reports whether a peer at host may hold a certificate that is taken.
// Of names that were given it can't be told.
func (c *Cluster) allows(host string) bool {
	return !c.byHosts || slices.Contains(c.AllowedHostnames, host)
}
