package config

import (
	"reflect"
	"strings"

	common "github.com/prometheus/common/config"
)

// Prometheus' HTTP client settings bring their own UnmarshalYAML, which stops
// at its first error and knows no lines. They are therefore decoded like any
// struct, key by key, and their Validate is called afterwards, as their
// UnmarshalYAML would.

// yamlScalar is a vendor's type that reads a single value.
type yamlScalar interface {
	UnmarshalYAML(unmarshal func(any) error) error
}

func decodeVendor(s spot, u yamlScalar) bool {
	if !s.must(scalar) {
		return false
	}
	err := u.UnmarshalYAML(func(target any) error {
		return setScalar(reflect.ValueOf(target).Elem(), s.node.text)
	})
	if err != nil {
		s.fail("is refused: "+strings.TrimSuffix(err.Error(), ": "+s.node.text), s.node.text)
		return false
	}
	return true
}

// vendorValid is how Prometheus' settings check themselves.
type vendorValid interface{ Validate() error }

// validate calls the Validate of a vendor's struct, and of the structs that
// target embeds.
func validate(s spot, target any) {
	v := reflect.ValueOf(target).Elem()
	if isVendor(v.Type()) {
		if c, ok := target.(vendorValid); ok && !isHeld(s) {
			if err := c.Validate(); err != nil {
				s.fail("is refused: "+err.Error(), nil)
			}
		}
		return
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if _, inline := keyName(f); inline && f.IsExported() && v.Field(i).Kind() == reflect.Struct {
			validate(s, v.Field(i).Addr().Interface())
		}
	}
}

// isHeld reports whether something below s is wrong already, so that a check
// of the whole would only repeat it.
func isHeld(s spot) bool {
	for _, p := range s.report.list {
		if p.Block == s.block && within(p.Path, s.path) {
			return true
		}
	}
	return false
}

var vendorPackage = reflect.TypeFor[common.HTTPClientConfig]().PkgPath()

func isVendor(t reflect.Type) bool { return t.PkgPath() == vendorPackage }
