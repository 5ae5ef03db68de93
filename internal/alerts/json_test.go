package alerts

import (
	"bytes"
	"encoding/json"
	"testing"
)

// The library's decoder is the oracle: where a message is read, both see the
// same strings.
func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"a":["x","\u00e9\\ud83d\\ude00\\n\"",1.5e3,true,null,{"b":{}}],"c":-0}`))
	f.Add([]byte(`{"version":"4","receiver":"r","alerts":[{"labels":{"a":"b"},"startsAt":"2026-03-01T10:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := newReader(body)
		if err != nil {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		for {
			want, err := dec.Token()
			if err != nil {
				break
			}
			got, err := r.next()
			if err != nil || !same(got, want) {
				t.Fatalf("got %+v and %v, want %v", got, err, want)
			}
		}
		if _, err := r.next(); err == nil {
			t.Fatal("more tokens than there are")
		}
	})
}

func same(got token, want json.Token) bool {
	switch v := want.(type) {
	case json.Delim:
		return got.kind == byte(v)
	case string:
		return got.kind == '"' && got.text == v
	case json.Number:
		return got.kind == 0 && got.text == v.String()
	case bool:
		return got.kind == 't' && v || got.kind == 'f' && !v
	}
	return got.kind == 'n'
}
