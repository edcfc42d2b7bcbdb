package peers

import "testing"

func TestAudit(t *testing.T) {
	tests := []struct {
		reason                  string
		loose                   bool
		succeeded, failed, hits int
		ok                      bool
	}{
		{"both agree", false, 10, 0, 10, true},
		{"the server has seen less", false, 10, 0, 9, false},
		{"the server has seen more", false, 10, 0, 11, false},
		{"answered, and yet failed", false, 10, 1, 11, true},
		{"some in flight at the end", true, 10, 0, 14, true},
		{"too many in flight", true, 10, 0, 15, false},
		{"loose is not to invent", true, 10, 0, 9, false},
		{"nothing done", true, 0, 0, 0, false},
	}
	for _, tt := range tests {
		a := account{Outcome: Outcome{Succeeded: tt.succeeded, Failed: tt.failed}, Hits: int64(tt.hits)}
		if err := audit(Contestant{Loose: tt.loose}, 4, a); (err == nil) != tt.ok {
			t.Errorf("%s: got error %v", tt.reason, err)
		}
	}
}
