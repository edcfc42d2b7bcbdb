// Package check has checks of responses as values, for [loadtest.Request.Check]:
//
//	req.Check = check.All(
//		check.Header("Content-Type", "application/json"),
//		check.JSON("$.user.name", "ann"),
//	)
//
// A check is a func(loadtest.Response) error, so that one of your own stands beside those
// of this package. The error of a check of this package is an [*Error]: it says what was
// wanted and shows what came. A response that fails its check counts as failed, in
// [loadtest.ClassCheck], and the result holds an example for each check that failed.
//
// # Statuses
//
// Which statuses are right is for [loadtest.Request.Expect] to say, and a response whose
// status is wrong never comes to a Check: without an Expect those are 4xx and 5xx. So a
// request that should be answered by 404 has
//
//	req.Expect = []int{404}
//
// and needs no check. [Status] tells apart what Expect lets through, such as 201 from 200,
// and in [Any] and [Not] it says what else holds with which status.
//
// # What a check costs
//
// A check runs outside the measured latency, on the worker that sent the request.
// [Status], [Header], [Contains] and [Size] do not allocate when they pass. [Matches]
// costs what package regexp takes for the body, and [JSON] decodes all of it. A request
// with a check keeps its body until the check returns.
//
// # What is not shown
//
// Reports are passed around, so what an [*Error] quotes has user names and passwords in
// URLs, bearer tokens, and the values of members, fields and headers with names such as
// password, secret, token, api_key, authorization or cookie replaced by ***. That is as
// good as guessing from names can be: test with data that may be seen.
//
// Checks are made once, and are safe for concurrent use by multiple goroutines.
package check
