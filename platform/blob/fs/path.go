package fs

import (
	"strings"

	"github.com/madbase/madbase/platform/blob"
)

// File names are made so that every key has one, no two keys share one, no name
// leaves the folder, and the same holds on file systems that ignore case or
// normalise Unicode: lower-case letters, digits, '-', '_' and inner dots stand
// for themselves, an upper-case letter is '^' and its lower-case form, any other
// byte is '%' and two hex digits. A folder is a component of the key; one too
// long for a file system goes on in the next folder after a '~'. The last
// component is the file and ends in '=', so that "a" and "a/b" can both be.
const (
	goesOn  = "~"
	isFile  = "="
	longest = 200 // bytes of a name, below the 255 of file systems
	hex     = "0123456789abcdef"
)

// pathOf returns the path of key's file below the root, with slashes.
func pathOf(key string) string { return foldersOf(key) + isFile }

// foldersOf encodes every component of key.
func foldersOf(key string) string {
	var b strings.Builder
	used := 0 // bytes of the present name
	for i := 0; i < len(key); i++ {
		c := key[i]
		if c == '/' {
			b.WriteByte('/')
			used = 0
			continue
		}
		if used > longest {
			b.WriteString(goesOn + "/")
			used = 0
		}
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.' && used > 0:
			b.WriteByte(c)
			used++
		case 'A' <= c && c <= 'Z':
			b.Write([]byte{'^', c + 'a' - 'A'})
			used += 2
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
			used += 3
		}
	}
	return b.String()
}

// keyOf is the reverse of pathOf; false for a path that pathOf never makes.
func keyOf(path string) (string, bool) {
	path, ok := strings.CutSuffix(path, isFile)
	if !ok {
		return "", false
	}
	joined := strings.ReplaceAll(path, goesOn+"/", "")
	key := make([]byte, 0, len(joined))
	for i := 0; i < len(joined); i++ {
		switch c := joined[i]; {
		case c == '^' && i+1 < len(joined):
			key = append(key, joined[i+1]-('a'-'A'))
			i++
		case c == '%' && i+2 < len(joined):
			key = append(key, byte(strings.IndexByte(hex, joined[i+1])<<4|strings.IndexByte(hex, joined[i+2])))
			i += 2
		default:
			key = append(key, c)
		}
	}
	return string(key), blob.CheckKey(string(key)) == nil && pathOf(string(key)) == path+isFile
}
