package runner

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// ReadValue reads a value for the environment from a file, without the end of its
// last line. Its error shows nothing of it.
func ReadValue(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, mostSecret+1))
	v := strings.TrimRight(string(text), "\r\n")
	switch {
	case err != nil:
		return "", err
	case len(text) > mostSecret:
		return "", fmt.Errorf("%s is longer than %d bytes", path, mostSecret)
	case v == "":
		return "", fmt.Errorf("%s is empty", path)
	case strings.ContainsRune(v, 0):
		return "", errors.New(path + " holds a zero byte")
	}
	return v, nil
}
