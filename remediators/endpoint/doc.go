// Package endpoint flips a switch: it sets one value, of a Kubernetes object or
// behind an API, to one of the positions that the configuration lists. What a
// setting is, and how it is written safely, is in package setting.
package endpoint
