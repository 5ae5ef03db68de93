package sandbox

import (
	"fmt"
	"net/http"
)

// index is what a person sees who opens the company in a browser.
const index = `The sandbox company of Signalbox.

  GET  /api/v1/query?query=reads_lag_seconds   its metrics, as Prometheus has them
  GET  /switches                               what its switches stand at
  GET  /switches/read-endpoint                 one of them, with its ETag
  PUT  /switches/read-endpoint                 throw it by hand, with If-Match
  GET  /pages                                  what its pager shows
  POST /breaks/replica-a                       break something: replica-a, psp, cdn, both-replicas
`

func (c *Company) routes() http.Handler {
	mux := http.NewServeMux()
	newPromAPI(c.history, c.now).routes(mux)
	c.switches.routes(mux)
	c.pager.routes(mux)
	mux.HandleFunc("/heartbeat", c.pulse.beat)
	mux.HandleFunc("POST /breaks/{scene}", c.breakScene)
	for _, path := range []string{"/-/healthy", "/-/ready"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "OK") })
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, index) })
	return mux
}

func (c *Company) breakScene(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("scene")
	if err := c.Break(name); err != nil {
		refuse(w, http.StatusNotFound, "%v", err)
		return
	}
	respond(w, http.StatusAccepted, map[string]string{"breaks": name})
}
