package config

import (
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// masking is shown in place of a secret, as net/url does.
const masking = "xxxxx"

// secretName matches the names of things whose values nobody is to see.
var secretName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(passw|passphrase|secret|token|api_?-?key|auth|credential|signature)`)
})

// assignment matches NAME=VALUE, with or without dashes before it.
var assignment = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(-{0,2}[A-Za-z0-9_.-]+)=(.+)$`) })

// masked returns a text with the secrets masked that are known by their place: who
// logs in to a URL, and what is assigned to a name that says so, in a URL's query
// or in an argument. Secrets belong into files of their own (*_file); this is for
// those that stand here nevertheless.
func masked(text string) string {
	if m := assignment().FindStringSubmatch(text); m != nil && secretName().MatchString(m[1]) {
		return m[1] + "=" + masking
	}
	scheme, rest, found := strings.Cut(text, "://")
	if !found || strings.ContainsAny(scheme, " /") {
		return text
	}
	address, fragment, hasFragment := strings.Cut(rest, "#")
	address, query, hasQuery := strings.Cut(address, "?")
	host, path, hasPath := strings.Cut(address, "/")
	if at := strings.LastIndex(host, "@"); at >= 0 {
		user, _, hasPassword := strings.Cut(host[:at], ":")
		if hasPassword {
			user += ":" + masking
		} else {
			user = masking // a token, as likely as a name
		}
		host = user + host[at:]
	}
	text = scheme + "://" + host
	if hasPath {
		text += "/" + path
	}
	if hasQuery {
		text += "?" + maskedQuery(query)
	}
	if hasFragment {
		text += "#" + fragment
	}
	return text
}

func maskedQuery(query string) string {
	parts := strings.Split(query, "&")
	for i, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil || secretName().MatchString(plain) || plain == "key" || plain == "sig" {
			parts[i] = name + "=" + masking
		}
	}
	return strings.Join(parts, "&")
}
