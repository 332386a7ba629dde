// Package sql holds the migrations of madbase's own schemas: one folder per line,
// files numbered and forward only.
package sql

import (
	"embed"
	"io/fs"
)

//go:embed bootstrap/*.sql auth/*.sql storage/*.sql platform/*.sql
var files embed.FS

// Line returns the folder of the named line: bootstrap, auth, storage or platform. An
// unknown name yields an empty folder.
func Line(name string) fs.FS {
	sub, err := fs.Sub(files, name)
	if err != nil { // only for a name that is no valid path
		return embed.FS{}
	}
	return sub
}
