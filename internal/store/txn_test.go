package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/internal/store"
)

func TestTxnCheck(t *testing.T) {
	conds := make([]store.Cond, store.MaxOps)
	puts := make([]store.Put, store.MaxOps)
	for i := range store.MaxOps {
		conds[i] = store.Cond{Key: fmt.Sprint("c/", i)}
		puts[i] = store.Put{Key: fmt.Sprint("p/", i)}
	}
	for name, tt := range map[string]struct {
		txn  store.Txn
		want string // empty: is taken
	}{
		"nothing":         {store.Txn{}, ""},
		"at the limits":   {store.Txn{Ifs: conds, Puts: puts}, ""},
		"conditions":      {store.Txn{Ifs: append(conds[:len(conds):len(conds)], store.Cond{Key: "x"})}, "at most 128 conditions, got 129"},
		"writes":          {store.Txn{Puts: puts, Deletes: []string{"x"}}, "at most 128 writes, got 129"},
		"exactly the max": {store.Txn{Puts: []store.Put{{Key: "k", Value: make([]byte, store.MaxBytes-1)}}}, ""},
		"bytes":           {store.Txn{Puts: []store.Put{{Key: "k", Value: make([]byte, store.MaxBytes)}}}, "at most 1048576 bytes, got 1048577"},
		"bytes of keys":   {store.Txn{Ifs: []store.Cond{{Key: strings.Repeat("k", store.MaxBytes)}}, Deletes: []string{"x"}}, "got 1048577"},
		"empty condition": {store.Txn{Ifs: []store.Cond{{}}}, "ifs[0]"},
		"negative rev":    {store.Txn{Ifs: []store.Cond{{Key: "k", Rev: -1}}}, "ifs[0]"},
		"empty put":       {store.Txn{Puts: []store.Put{{Key: "a"}, {}}}, "puts[1]: key is empty"},
		"empty delete":    {store.Txn{Deletes: []string{""}}, "deletes[0]: key is empty"},
		"put twice":       {store.Txn{Puts: []store.Put{{Key: "a"}, {Key: "a"}}}, `puts[1]: a key is written once in a txn, got "a" twice`},
		"put and delete":  {store.Txn{Puts: []store.Put{{Key: "a"}}, Deletes: []string{"a"}}, "deletes[0]"},
		"leader's key":    {store.Txn{Puts: []store.Put{{Key: "lead/engine"}}}, "written by Lead only"},
		"a cond on it":    {store.Txn{Ifs: []store.Cond{{Key: "lead/engine", Rev: 1, OnCreate: true}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.txn.Check()
			if tt.want == "" {
				if err != nil {
					t.Fatalf("Check() = %v, want nil", err)
				}
				return
			}
			if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Check() = %v, want ErrInvalid with %q", err, tt.want)
			}
		})
	}
}
