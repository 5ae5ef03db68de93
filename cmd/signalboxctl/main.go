// Command signalboxctl is the operator's tool for a running signalbox.
package main

import (
	"context"
	"os"
	"os/signal"

	"github.com/signalbox/signalbox/internal/app"
	"github.com/signalbox/signalbox/internal/ctl"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := ctl.Run(ctx, os.Args[1:], ctl.Options{
		Out: os.Stdout, Err: os.Stderr, Server: "http://" + app.DefaultListen, Check: app.Check,
	})
	stop()
	os.Exit(code)
}
