package resilience

// transientErrnos has nothing: Plan 9 reports its failures as text.
var transientErrnos []error
