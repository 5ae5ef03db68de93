// Command signalbox is the daemon: it watches the signals of production,
// throws the switches that its configuration lists or pages the owner.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/signalbox/signalbox/internal/app"
)

// version is set by the build: -ldflags "-X main.version=…".
var version = "dev"

func main() {
	if len(os.Args) > 1 && os.Args[1] == app.MemberCommand {
		os.Exit(app.RunMember(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == app.RunnerCommand {
		os.Exit(app.RunCommand(os.Args[2:]))
	}
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	o, log, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errVersion):
		fmt.Println("signalbox", version)
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "signalbox:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	if err := app.Run(ctx, o, hup); err != nil {
		log.Error("stopped", "error", err)
		return 1
	}
	return 0
}

var errVersion = errors.New("version")

func parse(args []string) (app.Options, *slog.Logger, error) {
	var o app.Options
	fs := flag.NewFlagSet("signalbox", flag.ContinueOnError)
	fs.StringVar(&o.Config, "config", "", "configuration: a YAML file, or a directory of them")
	fs.StringVar(&o.Data, "data", "data", "directory of the embedded store, the archive and the kill file (0700)")
	fs.StringVar(&o.Store, "store", "", "endpoints of an external etcd, comma separated; empty: embedded")
	fs.StringVar(&o.StoreTLS.CA, "store.ca-file", "", "CA of the external etcd")
	fs.StringVar(&o.StoreTLS.Cert, "store.cert-file", "", "client certificate for the external etcd")
	fs.StringVar(&o.StoreTLS.Key, "store.key-file", "", "key of the client certificate")
	fs.DurationVar(&o.Lease, "store.lease", 0, "leader's lease, at least 2s (default 3s, with --cluster.initial-members 2s)")
	clusterFlags(fs, &o.Cluster)
	fs.StringVar(&o.Share.Listen, "replicas.listen-address", "", "where this replica asks sources for others of the same store (TLS, each known by the store); empty: who leads asks all")
	fs.StringVar(&o.Share.Advertise, "replicas.advertise-address", "", "where the others reach it (default --replicas.listen-address)")
	fs.StringVar(&o.Replica, "replica", "", "stable name of this replica (default the host's)")
	fs.StringVar(&o.Listen, "web.listen-address", app.DefaultListen, "address of control, health and metrics")
	fs.StringVar(&o.WebConfig, "web.config.file", "", "TLS and authentication of it (Prometheus exporter-toolkit web configuration)")
	fs.StringVar(&o.ListenWebhooks, "webhooks.listen-address", app.DefaultListenWebhooks, "address of the webhooks")
	fs.StringVar(&o.WebhookConfig, "webhooks.config.file", "", "TLS of it (Prometheus exporter-toolkit web configuration)")
	fs.StringVar(&o.KillFile, "kill-file", "", "while this file exists nothing is remediated (default DATA/kill)")
	fs.DurationVar(&o.ArchiveFor, "archive.keep-for", 0, "files of the journal's archive are deleted once all in them is older (default: never)")
	fs.Int64Var(&o.ArchiveBytes, "archive.keep-bytes", 0, "the oldest files of the journal's archive are deleted beyond this size (default: never)")
	fs.BoolVar(&o.AllowCommands, "allow-commands", false, "let tools of kind command run programs on this host")
	level := fs.String("log.level", "info", "debug, info, warn or error")
	format := fs.String("log.format", "text", "text or json")
	show := fs.Bool("version", false, "print the version")
	if err := fs.Parse(args); err != nil {
		return o, nil, err
	}
	if *show {
		return o, nil, errVersion
	}
	if fs.NArg() > 0 {
		return o, nil, fmt.Errorf("takes no arguments, got %q", fs.Args())
	}
	log, err := logger(*level, *format)
	o.Log = log
	return o, log, err
}

func clusterFlags(fs *flag.FlagSet, c *app.ClusterOptions) {
	fs.StringVar(&c.Members, "cluster.initial-members", "", "members of the store's cluster, the same on all: name=https://host:port, comma separated; empty: it is of one node")
	fs.StringVar(&c.Name, "cluster.name", "", "name of the cluster, the same on all members (default signalbox)")
	fs.StringVar(&c.Member, "cluster.member-name", "", "stable name of this member (default --replica)")
	fs.StringVar(&c.Listen, "cluster.listen-address", "", "IP address and port where peers are answered (default all addresses, the port of its entry)")
	fs.StringVar(&c.CA, "cluster.ca-file", "", "CA of the members' certificates")
	fs.StringVar(&c.Cert, "cluster.cert-file", "", "this member's certificate, for server and client")
	fs.StringVar(&c.Key, "cluster.key-file", "", "key of the certificate")
	fs.StringVar(&c.AllowedHostnames, "cluster.allowed-hostnames", "", "of which a peer's certificate must hold one, comma separated (default the members' hosts)")
	fs.BoolVar(&c.Join, "cluster.join", false, "without data, join the cluster that runs, to which this member was added")
}

func logger(level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log.level must be debug, info, warn or error, got %q", level)
	}
	opts := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, opts)), nil
	}
	return nil, fmt.Errorf("--log.format must be text or json, got %q", format)
}
