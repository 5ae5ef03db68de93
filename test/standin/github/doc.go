// Package github is a stand-in for the parts of GitHub's REST API that list
// workflows and their runs, for tests. It keeps the meaning of the real one:
//
//   - lists are filtered by branch and event, newest created first, in pages
//   - each answer has an ETag; a request that names it is answered 304, which
//     costs nothing of the rate limit where the request is authenticated
//   - each answer tells what is left of the rate limit, and at 0 the next
//     request is refused with 403 until the reset, in seconds from 1970
//
// With the path of GitHub's own OpenAPI description it also holds each request,
// and each of its own answers, to that. Faults are scripted: see Fail.
package github
