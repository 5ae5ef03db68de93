package acceptance

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// bytesBody is a request's body that was read whole.
type bytesBody struct{ b []byte }

func (x *bytesBody) fill(r *http.Request) (err error) {
	x.b, err = io.ReadAll(r.Body)
	return err
}

func (x *bytesBody) request(ctx context.Context, r *http.Request) *http.Request {
	out := r.Clone(ctx)
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(x.b)), int64(len(x.b))
	return out
}

// metrics returns the daemon's own metrics.
func (b *box) metrics() (string, error) {
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.control+"/metrics", http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// count asks the real Prometheus whether a query's value is n.
func (p *production) count(query string, n int) error {
	resp, err := http.Get(p.metrics.URL + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if !strings.Contains(string(body), fmt.Sprintf(`"%d"]`, n)) {
		return fmt.Errorf("%s is not %d: %s", query, n, body)
	}
	return nil
}
