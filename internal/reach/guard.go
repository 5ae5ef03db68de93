package reach

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	promconfig "github.com/prometheus/common/config"
)

// Guard keeps a client from addresses at which only this machine, its links and
// its cloud's metadata service answer, however a name comes to lead there. It
// looks at the address that is dialled, after the name was resolved, so that a
// name that resolves to another address the next time changes nothing.
type Guard struct {
	// Networks are let through all the same.
	Networks []netip.Prefix
}

// Barred is the error of a dial that a Guard refused: nothing was sent.
type Barred struct {
	Address netip.Addr
	Why     string // "a loopback address"
}

func (b *Barred) Error() string {
	return fmt.Sprintf("%s is %s, and not listed in networks", b.Address, b.Why)
}

// barred are the networks that no other test covers.
var barred = []struct {
	network netip.Prefix
	why     string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "an address of this host"},
	{netip.MustParsePrefix("127.0.0.0/8"), "a loopback address"},
	{netip.MustParsePrefix("169.254.0.0/16"), "a link-local address, as of a metadata service"},
	{netip.MustParsePrefix("224.0.0.0/4"), "a multicast address"},
	{netip.MustParsePrefix("240.0.0.0/4"), "a reserved or broadcast address"},
	{netip.MustParsePrefix("100.100.100.200/32"), "the address of a metadata service"}, // Alibaba Cloud
	{netip.MustParsePrefix("168.63.129.16/32"), "the address of a metadata service"},   // Azure
	{netip.MustParsePrefix("192.0.0.192/32"), "the address of a metadata service"},     // Oracle Cloud
	{netip.MustParsePrefix("fd00:ec2::254/128"), "the address of a metadata service"},  // AWS
	{netip.MustParsePrefix("fd20:ce::254/128"), "the address of a metadata service"},   // Google Cloud
	{netip.MustParsePrefix("::1/128"), "a loopback address"},
	{netip.MustParsePrefix("fe80::/10"), "a link-local address"},
	{netip.MustParsePrefix("fec0::/10"), "a site-local address"},
	{netip.MustParsePrefix("ff00::/8"), "a multicast address"},
	// Forms of IPv6 that stand for an address of IPv4.
	{netip.MustParsePrefix("::/96"), "an IPv4 address in another form"},
	{netip.MustParsePrefix("::ffff:0:0:0/96"), "an IPv4 address in another form"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "an IPv4 address in another form (NAT64)"},
	{netip.MustParsePrefix("2001::/32"), "an IPv4 address in another form (Teredo)"},
}

// carriers are forms of IPv6 that hold an address of IPv4 at a known place.
var carriers = []struct {
	network netip.Prefix
	at      int // its first byte
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // NAT64
	{netip.MustParsePrefix("2002::/16"), 2},     // 6to4
}

// Check returns a *Barred for an address that must not be dialled.
func (g Guard) Check(address netip.Addr) error {
	plain := address.WithZone("").Unmap()
	if !plain.IsValid() {
		return errors.New("the address can't be read")
	}
	listed := func(n netip.Prefix) bool { return n.Contains(plain) }
	if slices.ContainsFunc(g.Networks, listed) {
		return nil
	}
	for _, b := range barred {
		if b.network.Contains(plain) {
			return &Barred{Address: address, Why: b.why}
		}
	}
	for _, c := range carriers {
		if !c.network.Contains(plain) {
			continue
		}
		raw := plain.As16()
		inner := netip.AddrFrom4([4]byte(raw[c.at : c.at+4]))
		var within *Barred
		if errors.As(g.Check(inner), &within) {
			return &Barred{Address: address, Why: "another form of " + inner.String() + ", " + within.Why}
		}
	}
	return nil
}

// Host resolves a name, and returns a *Barred where each address that it has now
// must not be dialled. It sends nothing to them.
func (g Guard) Host(ctx context.Context, host string) error {
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return errors.New("its name can't be resolved")
	}
	for _, a := range addresses {
		if err = g.Check(a); err == nil {
			return nil
		}
	}
	return err
}

// dialer dials what the guard lets through. Control is called with each address
// of a name, before its connection is made.
func (g Guard) dialer() *net.Dialer {
	return &net.Dialer{
		Timeout: CallTimeout, KeepAlive: 30 * time.Second,
		Control: func(network, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil || !strings.HasPrefix(network, "tcp") {
				return errors.New("only addresses of TCP are dialled")
			}
			return g.Check(at.Addr())
		},
	}
}

// Guarded is the client of an HTTP target behind a guard, by Prometheus' HTTP
// client configuration as YAML. It follows no redirect, goes through no proxy
// (which would dial in its place), and bounds time and length. Each request has
// a connection of its own, so that the guard looks at each.
func (c *Clients) Guarded(yaml string, g Guard) (*http.Client, error) {
	k, err := c.get(fmt.Sprintf("guarded %v %s", g.Networks, yaml), func() (client, error) {
		config, err := promconfig.LoadHTTPConfig(yaml)
		if err != nil {
			return client{}, errors.New("http: the client's settings can't be read")
		}
		if Proxied(config) {
			return client{}, errors.New("http: a proxy can't be guarded")
		}
		h, err := promconfig.NewClientFromConfig(*config, "signalbox", promconfig.WithUserAgent(c.agent),
			promconfig.WithDialContextFunc(g.dialer().DialContext), promconfig.WithKeepAlivesDisabled())
		if err != nil {
			return client{}, fmt.Errorf("http: %w", err)
		}
		h.CheckRedirect, h.Timeout = refuseRedirect, CallTimeout
		h.Transport = bounded{h.Transport}
		return client{http: h}, nil
	})
	return k.http, err
}

// Proxied reports whether a client would go through a proxy.
func Proxied(c *promconfig.HTTPClientConfig) bool {
	is := func(p promconfig.ProxyConfig) bool { return p.ProxyURL.URL != nil || p.ProxyFromEnvironment }
	return is(c.ProxyConfig) || c.OAuth2 != nil && is(c.OAuth2.ProxyConfig)
}
