package etcd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"golang.org/x/sys/unix"
)

// settings are the first line of the member's stdin, in JSON.
type settings struct {
	Quota   int64         `json:"quota_bytes"`
	Keep    int64         `json:"keep_revisions"`
	Wait    time.Duration `json:"wait_ns"`           // for a predecessor that still ends
	Cluster *Cluster      `json:"cluster,omitempty"` // nil: a cluster of one
	Formed  bool          `json:"formed,omitempty"`  // the member was up before
}

const (
	startedLine = "started" // its own part is done; the rest waits for a quorum
	readyLine   = "ready"
	waitsLine   = "waits for " // whom it waits for before it starts

	socketName = "member.sock"
	endpoint   = "unix://" + socketName
	memberDir  = "etcd"
	peerDir    = "peer"
	memberID   = "signalbox"
)

// errHung: the caller of RunMember ends the process right after, which etcd
// survives by its write-ahead log.
var errHung = errors.New("the member did not end in good order")

// RunMember is what the child process does: it serves one etcd member of the
// data directory that it was started in, until stdin ends or ctx does. The
// caller exits right after, with a status above zero where there was an error,
// which is also logged. Logs are JSON lines on standard error; stdout carries
// a line for whom it waits for before it starts, one when it has started, and one
// when it serves.
//
//	if len(os.Args) > 1 && os.Args[1] == etcd.MemberCommand {
//		if err := etcd.RunMember(ctx, os.Stdin, os.Stdout); err != nil {
//			os.Exit(1)
//		}
//		return
//	}
//
// SIGINT, SIGTERM and SIGHUP are ignored: a terminal or a service manager sends
// them to the daemon and its member at once, and the daemon still writes while
// it ends.
func RunMember(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	unix.Umask(0o077)
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	err := runMember(ctx, log, stdin, stdout)
	if err != nil {
		log.Error("the member ends", "error", err.Error())
	}
	return err
}

func runMember(ctx context.Context, log *slog.Logger, stdin io.Reader, stdout io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var set settings
	in := bufio.NewReader(stdin)
	line, err := in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &set)
	}
	if err != nil {
		return fmt.Errorf("settings on stdin: %w", err)
	}
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, in) // until the daemon closes it, or is gone
	}()
	lock, err := awaitDir(ctx, log, memberDir, set.Wait)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	return serveMember(ctx, log, set, stdout)
}

// serveMember runs etcd until ctx ends.
func serveMember(ctx context.Context, log *slog.Logger, set settings, stdout io.Writer) error {
	member, err := startMember(ctx, set, func(waits string) { tell(log, stdout, waitsLine+waits) })
	if err != nil {
		return err
	}
	tell(log, stdout, startedLine)
	select {
	case <-member.Server.ReadyNotify():
		tell(log, stdout, readyLine)
	case <-ctx.Done():
	case err = <-member.Err():
	}
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-member.Err():
		case <-member.Server.StopNotify():
			err = errors.New("etcd stopped by itself")
		}
	}
	return errors.Join(err, closeMember(member))
}

func startMember(ctx context.Context, set settings, says func(waits string)) (*embed.Etcd, error) {
	if set.Cluster != nil {
		if err := mayStart(ctx, set, says); err != nil {
			return nil, err
		}
		member, err := embed.StartEtcd(clusterConfig(set))
		return member, explained(err)
	}
	tls, err := peerTLS(peerDir, time.Now())
	if err != nil {
		return nil, fmt.Errorf("peer certificate: %w", err)
	}
	return embed.StartEtcd(memberConfig(set, tls))
}

func tell(log *slog.Logger, stdout io.Writer, line string) {
	if _, err := fmt.Fprintln(stdout, line); err != nil {
		log.Warn("nobody reads what the member says", "line", line, "error", err.Error())
	}
}

// closeMember bounds etcd's end in good order.
func closeMember(member *embed.Etcd) error {
	done := make(chan struct{})
	go func() {
		member.Close()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-time.After(stopTimeout / 2):
		return errHung
	}
}

// snapshotEvery is after how many commits etcd notes on disk how far it has come.
// A start reads its log from there on: a commit of the daemon can be 1 MiB, so
// that etcd's own 10,000 are gigabytes.
const snapshotEvery = 1000

// A cluster of one elects itself, after up to its election timeout: etcd's own,
// of 1 s, would be most of a start. There is nobody whose slowness it must bear.
// One of several has etcd's own.
const (
	aloneTick     = 20 // ms
	aloneElection = 100
)

// memberConfig is a cluster of one. Its peer port is any free one on loopback,
// since it has no peer.
func memberConfig(set settings, tls transport.TLSInfo) *embed.Config {
	cfg := baseConfig(set)
	cfg.Name = memberID
	peer := url.URL{Scheme: "https", Host: "127.0.0.1:0"}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = memberID + "=" + peer.String()
	cfg.InitialClusterToken = memberID
	cfg.PeerTLSInfo = tls
	cfg.TickMs, cfg.ElectionMs = aloneTick, aloneElection
	cfg.SnapshotCatchUpEntries = 100 // nobody has to catch up, and they are kept in memory
	return cfg
}

// baseConfig is what members of one and of several have in common: clients
// come by the socket; there is no gateway and no listener for metrics.
func baseConfig(set settings) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Dir = memberDir
	client := url.URL{Scheme: "unix", Host: socketName}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.EnableGRPCGateway = false
	cfg.QuotaBackendBytes = set.Quota
	cfg.AutoCompactionMode = embed.CompactorModeRevision // besides upkeep, which a hung daemon would not do
	cfg.AutoCompactionRetention = strconv.FormatInt(set.Keep, 10)
	cfg.SnapshotCount = snapshotEvery
	cfg.LogLevel = "warn"
	cfg.LogOutputs = []string{embed.StdErrLogOutput}
	return cfg
}

// awaitDir locks dir, which a predecessor whose daemon was killed may still
// hold for a moment. Without this, etcd would wait for it without a bound.
func awaitDir(ctx context.Context, log *slog.Logger, dir string, wait time.Duration) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for told := false; ; {
		file, err := lockDir(dir)
		if !errors.Is(err, ErrLocked) {
			return file, err
		}
		if !told {
			log.Warn("waiting for the member of an earlier daemon to end", "dir", dir, "at_most", wait.String())
			told = true
		}
		if !pause(ctx, readPause) {
			abs, _ := filepath.Abs(dir)
			return nil, fmt.Errorf("%s is still in use by the member of an earlier daemon: %w", abs, err)
		}
	}
}
