package job

import (
	"regexp"
	"strconv"
	"strings"
)

// plain is a word that means itself in every shell. A=b does not where a command is expected.
var plain = regexp.MustCompile(`^(-[A-Za-z0-9_@%+=:,./-]*|[A-Za-z0-9_@%+:,./-]+)$`)

// Shell returns a command line for a shell, of which the words are args.
func Shell(args ...string) string {
	quoted := make([]string, len(args))
	for i, arg := range args {
		quoted[i] = arg
		if !plain.MatchString(arg) {
			quoted[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

// yaml returns text, which is valid UTF-8, as a YAML scalar. All that Go escapes in a
// string literal, YAML escapes alike.
func yaml(text string) string { return strconv.QuoteToASCII(text) }

// unexpanded returns text so that Kubernetes, which replaces $(NAME) in commands and in
// variables, and $$ by $, makes it what it was.
func unexpanded(text string) string {
	if strings.Contains(text, "$(") || strings.Contains(text, "$$") {
		return strings.ReplaceAll(text, "$", "$$")
	}
	return text
}
