package reach

import (
	"fmt"
	"testing"
)

func TestClientsAreBounded(t *testing.T) {
	c := NewClients("", nil)
	for i := range 3 * MaxClients {
		if _, err := c.HTTP(fmt.Sprintf("{follow_redirects: false, tls_config: {server_name: s%d}}", i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.kept) > MaxClients {
		t.Errorf("%d clients are kept", len(c.kept))
	}
}
