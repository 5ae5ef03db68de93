// Command signalboxctl is the operator's tool for a running signalbox.
package main

import (
	"context"
	"os"
	"os/signal"
	"time"

	"github.com/signalbox/signalbox/internal/app"
	"github.com/signalbox/signalbox/internal/ctl"
	"github.com/signalbox/signalbox/internal/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := ctl.Run(ctx, os.Args[1:], ctl.Options{
		Out: os.Stdout, Err: os.Stderr, Server: "http://" + app.DefaultListen, Check: app.Check, Copy: app.CopyStore,
		Restore: func(data, file string, c ctl.Cluster, now time.Time) (store.Restored, error) {
			return app.RestoreStore(data, file, app.ClusterOptions{Name: c.Name, Member: c.Member, Members: c.Members}, now)
		},
	})
	stop()
	os.Exit(code)
}
