package webhook

import (
	"testing"
	"time"

	promconfig "github.com/prometheus/common/config"

	"github.com/signalbox/signalbox/internal/kind"
)

func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Settings)
		want   string // the path that is refused; empty: none
	}{
		"as it is":          {func(*Settings) {}, ""},
		"no address":        {func(s *Settings) { s.URL = "" }, "url"},
		"two addresses":     {func(s *Settings) { s.URLFile = "f" }, "url"},
		"a file":            {func(s *Settings) { s.URL = "file:///etc/passwd" }, "url"},
		"a unix socket":     {func(s *Settings) { s.URL = "unix:///run/docker.sock" }, "url"},
		"credentials":       {func(s *Settings) { s.URL = "https://u:p@hook.example/" }, "url"},
		"query":             {func(s *Settings) { s.URL = "https://hook.example/?token=1" }, "url"},
		"decimal":           {func(s *Settings) { s.URL = "http://2130706433/" }, "url"},
		"octal":             {func(s *Settings) { s.URL = "http://0177.0.0.1/" }, "url"},
		"hexadecimal":       {func(s *Settings) { s.URL = "http://0x7f000001/" }, "url"},
		"short":             {func(s *Settings) { s.URL = "http://127.1/" }, "url"},
		"IPv6":              {func(s *Settings) { s.URL = "http://[2001:db8::1]:8080/" }, ""},
		"GET":               {func(s *Settings) { s.Method = "GET" }, "method"},
		"no type":           {func(s *Settings) { s.ContentType = "json" }, "content_type"},
		"unknown field":     {func(s *Settings) { s.Body = `{"a": "{{value}}"}` }, "body"},
		"unlisted label":    {func(s *Settings) { s.Body = `{"a": "{{labels.b}}"}` }, "body"},
		"listed label":      {func(s *Settings) { s.Body, s.Labels = `{"a": "{{labels.b}}"}`, []string{"b"} }, ""},
		"outside a string":  {func(s *Settings) { s.Body = `{"a": {{subject}}}` }, "body"},
		"within a number":   {func(s *Settings) { s.Body = `{"a": 1{{subject}}}` }, "body"},
		"no JSON":           {func(s *Settings) { s.Body = `{"a": }` }, "body"},
		"XML with a field":  {func(s *Settings) { s.ContentType, s.Body = "application/xml", "<a>{{subject}}</a>" }, "body"},
		"XML":               {func(s *Settings) { s.ContentType, s.Body = "application/xml", "<a/>" }, ""},
		"key":               {keyed, ""},
		"key without time":  {func(s *Settings) { s.IdempotencyHeader = "Idempotency-Key" }, "retains"},
		"time without key":  {func(s *Settings) { s.Retains = kind.Duration(time.Hour) }, "retains"},
		"key for a moment":  {func(s *Settings) { keyed(s); s.Retains = kind.Duration(time.Second) }, "retains"},
		"key in Host":       {func(s *Settings) { keyed(s); s.IdempotencyHeader = "host" }, "idempotency_header"},
		"key with a break":  {func(s *Settings) { keyed(s); s.IdempotencyHeader = "a\r\nb" }, "idempotency_header"},
		"signature":         {func(s *Settings) { s.Signature = &Signature{Header: "X-S", KeyFile: "k"} }, ""},
		"signature, no key": {func(s *Settings) { s.Signature = &Signature{Header: "X-S"} }, "signature.key_file"},
		"one header twice":  {func(s *Settings) { s.Signature = &Signature{Header: "X-S", KeyFile: "k", TimestampHeader: "x-s"} }, "signature.timestamp_header"},
		"header given twice": {func(s *Settings) {
			keyed(s)
			s.HTTP.HTTPHeaders = &promconfig.Headers{Headers: map[string]promconfig.Header{"idempotency-key": {Values: []string{"1"}}}}
		}, "idempotency_header"},
		"expects nothing":  {func(s *Settings) { s.Expect = nil }, "expect"},
		"expects an error": {func(s *Settings) { s.Expect = []int{200, 500} }, "expect[1]"},
		"network":          {func(s *Settings) { s.Networks = []string{"127.0.0.0/8", "::1/128"} }, ""},
		"host bits":        {func(s *Settings) { s.Networks = []string{"10.0.0.1/8"} }, "networks[0]"},
		"proxy":            {func(s *Settings) { s.HTTP.ProxyFromEnvironment = true }, "proxy_url"},
		"token inline":     {func(s *Settings) { s.HTTP.Authorization = &promconfig.Authorization{Credentials: "t"} }, "authorization.credentials"},
		"approval":         {func(s *Settings) { s.Approval = "maybe" }, "approval"},
	} {
		s := newSettings()
		s.URL = "https://hook.example/lock"
		c.change(s)
		var got []string
		s.Validate(func(path, _ string, _ any) { got = append(got, path) })
		if (c.want == "") != (len(got) == 0) || c.want != "" && got[0] != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func FuzzParseSpec(f *testing.F) {
	f.Add([]byte(`{"url":"https://hook.example/","client":"","method":"POST","content_type":"application/json","expect":[200]}`))
	f.Add([]byte(`{"url":"https://hook.example/","unknown":1}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if s, err := parseSpec(raw); err == nil {
			_, _ = s.address()
			_, _ = s.fill(nil)
			_ = s.target("x")
		}
	})
}
