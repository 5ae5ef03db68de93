package reach

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

func TestGuardChecksAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"8.8.8.8":                  "",
		"10.1.2.3":                 "",
		"172.16.0.9":               "",
		"192.168.1.1":              "",
		"100.64.0.1":               "",
		"fd12::1":                  "",
		"2606:4700::1111":          "",
		"64:ff9b::808:808":         "",
		"2002:808:808::1":          "",
		"::ffff:8.8.8.8":           "",
		"0.0.0.0":                  "this host",
		"0.1.2.3":                  "this host",
		"127.0.0.1":                "loopback",
		"127.255.255.254":          "loopback",
		"169.254.169.254":          "metadata",
		"169.254.170.2":            "metadata",
		"100.100.100.200":          "metadata",
		"168.63.129.16":            "metadata",
		"192.0.0.192":              "metadata",
		"fd00:ec2::254":            "metadata",
		"fd20:ce::254":             "metadata",
		"224.0.0.1":                "multicast",
		"255.255.255.255":          "broadcast",
		"::":                       "IPv4 address in another form",
		"::1":                      "loopback",
		"fe80::1":                  "link-local",
		"fe80::1%eth0":             "link-local",
		"febf::1":                  "link-local",
		"fec0::1":                  "site-local",
		"ff02::1":                  "multicast",
		"::127.0.0.1":              "IPv4 address in another form",
		"::ffff:127.0.0.1":         "loopback",
		"::ffff:169.254.169.254":   "metadata",
		"::ffff:0:127.0.0.1":       "IPv4 address in another form",
		"64:ff9b::7f00:1":          "another form of 127.0.0.1",
		"64:ff9b::169.254.169.254": "another form of 169.254.169.254",
		"64:ff9b:1::1":             "NAT64",
		"2002:7f00:1::":            "another form of 127.0.0.1",
		"2002:a9fe:a9fe::1":        "another form of 169.254.169.254",
		"2001:0:1:2:3:4:5:6":       "Teredo",
	} {
		err := (Guard{}).Check(netip.MustParseAddr(address))
		var b *Barred
		if got := errors.As(err, &b); got != (want != "") || got && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", address, err, want)
		}
	}
	if (Guard{}).Check(netip.Addr{}) == nil {
		t.Error("no address was let through")
	}
}

// Whatever wraps it, an address of IPv4 is judged as itself.
func TestGuardKnowsFormsOfIPv4(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		v4 := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(rt, "address")))
		want := Guard{}.Check(v4) == nil
		b := v4.As4()
		nat := [16]byte{0, 0x64, 0xff, 0x9b, 12: b[0], 13: b[1], 14: b[2], 15: b[3]}
		sixToFour := [16]byte{0x20, 0x02, b[0], b[1], b[2], b[3], 15: 1}
		for _, form := range []netip.Addr{netip.AddrFrom16(v4.As16()), netip.AddrFrom16(nat), netip.AddrFrom16(sixToFour)} {
			if got := (Guard{}).Check(form) == nil; got != want {
				rt.Fatalf("%s as %s: let through %t, want %t", v4, form, got, want)
			}
		}
	})
}

func TestGuardLetsListedNetworksThrough(t *testing.T) {
	g := Guard{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("fe80::/10")}}
	for address, want := range map[string]bool{
		"127.0.0.1": true, "::ffff:127.0.0.1": true, "fe80::1%eth0": true, "64:ff9b::7f00:1": true,
		"127.0.0.2": false, "::1": false, "169.254.169.254": false,
	} {
		if got := g.Check(netip.MustParseAddr(address)) == nil; got != want {
			t.Errorf("%s: let through %t, want %t", address, got, want)
		}
	}
}

// The address that is dialled is what counts: names, and the octal, decimal and
// short forms that a resolver may read as an address, all come to it.
func TestGuardedClientDialsNothingThatIsBarred(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
	}))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := NewClients("", nil)
	defer c.Close()
	get := func(host string, g Guard) (*http.Response, error) {
		h, err := c.Guarded("{}", g)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		return h.Do(req)
	}
	for _, host := range []string{"127.0.0.1", "localhost", "::ffff:127.0.0.1", "0.0.0.0", "0177.0.0.1", "2130706433", "0x7f.1", "127.1"} {
		resp, err := get(host, Guard{})
		if err == nil {
			resp.Body.Close()
			t.Errorf("%s was reached", host)
		} else if !Undelivered(err) {
			t.Errorf("%s: %v is not known as unsent", host, err)
		}
	}
	var b *Barred
	if _, err := get("127.0.0.1", Guard{}); !errors.As(err, &b) || !errors.As(Unanswered(t.Context(), err), &b) { //nolint:bodyclose // there is no answer
		t.Errorf("got %v", err)
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests came", n)
	}
	resp, err := get("127.0.0.1", Guard{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusFound || requests.Load() != 1 {
		t.Errorf("got %s after %d requests: a redirect is not followed", resp.Status, requests.Load())
	}
}

func TestGuardedClientHasNoProxy(t *testing.T) {
	for _, yaml := range []string{"{proxy_url: \"http://127.0.0.1:1\"}", "{proxy_from_environment: true}"} {
		if _, err := NewClients("", nil).Guarded(yaml, Guard{}); err == nil {
			t.Errorf("%s was taken", yaml)
		}
	}
}
