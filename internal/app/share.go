package app

import (
	"context"
	"errors"
	"fmt"
	"net"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/share"
)

// ShareOptions are what the command line says of sharing the asking with other
// replicas: the flags --replicas.*.
type ShareOptions struct {
	Listen    string // empty: who leads asks all
	Advertise string // default: Listen
}

// sharing is this replica's part in the asking.
type sharing struct {
	*share.Share
	listener net.Listener // nil: none
	address  string
}

// shares reports whether replicas use the store together.
func (o *Options) shares() bool { return o.Store != "" || o.Cluster.Members != "" }

// share checks what was said of sharing; its errors name the flag.
func (o *Options) share() error {
	s := &o.Share
	switch {
	case s.Listen == "" && s.Advertise != "":
		return fmt.Errorf("--replicas.advertise-address is where --replicas.listen-address is reached, which is not given, got %q", s.Advertise)
	case s.Listen == "":
		return nil
	case !o.shares():
		return errors.New("--replicas.listen-address shares the asking among the replicas of one store: it needs --store or --cluster.initial-members")
	}
	host, _, err := net.SplitHostPort(s.Listen)
	if err != nil {
		return fmt.Errorf("--replicas.listen-address must be host:port, got %q: %w", s.Listen, err)
	}
	if s.Advertise == "" {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			return fmt.Errorf("--replicas.advertise-address must be given: other replicas can't reach %q", s.Listen)
		}
		return nil
	}
	host, port, err := net.SplitHostPort(s.Advertise)
	if err != nil || host == "" || port == "" {
		return fmt.Errorf("--replicas.advertise-address must be host:port, got %q", s.Advertise)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("--replicas.advertise-address must be an address that other replicas reach, got %q", s.Advertise)
	}
	return nil
}

// newShare makes this replica's part. Without a port of its own nobody else
// has one in it.
func (d *daemon) newShare() error {
	s, err := share.New(share.Options{
		Replica: d.options.Replica, Now: d.options.Now, Log: d.log, Registerer: d.registry,
		Config: func() string { return d.current().set.Hash },
		Source: func(name string) (signalbox.Source, bool) {
			s, ok := d.current().opened[name].(signalbox.Source)
			_, watches := s.(signalbox.Watcher)
			return s, ok && !watches
		},
	})
	d.sharing.Share = s
	return err
}

// bindShare opens the port for the other replicas.
func (d *daemon) bindShare() error {
	if d.options.Share.Listen == "" {
		return nil
	}
	l, err := net.Listen("tcp", d.options.Share.Listen)
	if err != nil {
		return fmt.Errorf("--replicas.listen-address: %w", err)
	}
	d.sharing.listener, d.sharing.address = l, d.options.Share.Advertise
	if d.sharing.address == "" {
		d.sharing.address = l.Addr().String()
	}
	return nil
}

// shareAsking answers the other replicas until ctx ends. That it can't is no
// reason to stop: they ask themselves then.
func (d *daemon) shareAsking(ctx context.Context) {
	if d.sharing.listener == nil {
		return
	}
	err := d.sharing.Run(ctx, share.Place{
		Store: d.store, Listener: d.sharing.listener, Address: d.sharing.address, Presence: engine.PresenceKeys,
		Present: func(ctx context.Context) (map[string]string, error) {
			list, err := d.engine.Present(ctx)
			present := make(map[string]string, len(list))
			for _, p := range list {
				present[p.Replica] = p.Config
			}
			return present, err
		},
	})
	if err != nil {
		d.log.Error("the asking is not shared any more", "error", err)
	}
}

// shared is a source whose questions are spread over the replicas, where that
// can be.
func (d *daemon) shared(name string, source signalbox.Source) signalbox.Source {
	if _, watches := source.(signalbox.Watcher); watches {
		return source
	}
	return d.sharing.Source(name, source)
}
