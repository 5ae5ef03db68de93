package sandbox

import (
	_ "embed" // the configuration is a file of its own, so that editors and people read it
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// configYAML stands with an address that is reserved never to exist (RFC 6761),
// in the place of the company's.
//
//go:embed config/sandbox.yaml
var configYAML string

const addressInConfig = "http://sandbox.invalid"

// routingKeys are the Events v2 integration keys of the owners, 32 characters
// each as the vendor's. They open nothing but this pager.
func routingKeys() map[string]string {
	keys := map[string]string{}
	for _, owner := range []string{"devops", "backend", "payments"} {
		keys[routingKey(owner)] = owner
	}
	return keys
}

func routingKey(owner string) string {
	return "sandbox" + owner + strings.Repeat("0", 32-len("sandbox")-len(owner))
}

// Config is the configuration with which a daemon watches this company, with
// the company's real address. The files that it names are written by
// WriteConfig.
func (c *Company) Config() string {
	return strings.ReplaceAll(configYAML, addressInConfig, c.URL())
}

// WriteConfig writes the configuration into dir, as sandbox.yaml and the keys
// of the pager under secrets/; it makes dir where it is missing, and overwrites
// what an earlier one wrote.
func (c *Company) WriteConfig(dir string) error {
	secrets := filepath.Join(dir, "secrets")
	if err := os.MkdirAll(secrets, 0o700); err != nil {
		return fmt.Errorf("sandbox: configuration: %w", err)
	}
	err := os.WriteFile(filepath.Join(dir, "sandbox.yaml"), []byte(c.Config()), 0o600)
	for key, owner := range routingKeys() {
		err = errors.Join(err, os.WriteFile(filepath.Join(secrets, "pd-"+owner), []byte(key+"\n"), 0o600))
	}
	if err != nil {
		return fmt.Errorf("sandbox: configuration: %w", err)
	}
	return nil
}
