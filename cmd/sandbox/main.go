// Command sandbox runs the real daemon against a small simulated company that
// breaks something about every minute, and tells both plainly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/signalbox/signalbox/internal/sandbox"
)

func main() {
	binary := flag.String("signalbox", "bin/signalbox", "the daemon's binary")
	listen := flag.String("listen", "127.0.0.1:0", "address of the company, on loopback")
	control := flag.String("control", "127.0.0.1:9440", "address of the daemon's control")
	webhooks := flag.String("webhooks", "127.0.0.1:0", "address of the daemon's webhooks")
	dir := flag.String("dir", "", "directory of configuration and data (default: a new one, removed at the end)")
	length := flag.Duration("for", 0, "stop after so long (default: when interrupted)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *length)
		defer cancel()
	}
	if err := run(ctx, *binary, *listen, *dir, "--web.listen-address", *control, "--webhooks.listen-address", *webhooks); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary, listen, dir string, args ...string) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "signalbox-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	company, err := sandbox.New(sandbox.Options{Out: os.Stdout, Listen: listen})
	if err != nil {
		return err
	}
	// The company outlives the daemon, which takes leave of it in order.
	open, closeDown := context.WithCancel(context.WithoutCancel(ctx))
	closed := make(chan error, 1)
	go func() { closed <- company.Run(open) }()
	fmt.Println("A company that breaks about every minute, and the daemon that watches it. Ctrl-C ends both.")
	fmt.Println("Meanwhile, in another terminal: bin/signalboxctl status    (and: explain INCIDENT, pause all, kill)")
	err = company.Watch(ctx, binary, dir, args...)
	closeDown()
	return errors.Join(err, <-closed)
}
