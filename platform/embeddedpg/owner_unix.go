//go:build unix

package embeddedpg

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// owner is the system user that runs postgres. drop is set when that is another one than madbase's own, which only root can arrange.
type owner struct {
	name     string
	uid, gid int
	drop     bool
}

// defaultUsers are tried in this order when madbase runs as root. A uid without a name would not do: initdb looks its user up.
var defaultUsers = []string{"madbase", "postgres", "nobody"}

// chooseOwner decides who runs postgres. A data folder that exists decides it: postgres insists on owning its files.
func chooseOwner(wanted, pgdata string) (owner, error) {
	euid := os.Geteuid()
	fi, err := os.Stat(pgdata)
	if err == nil {
		st, ok := fi.Sys().(*syscall.Stat_t)
		if !ok {
			return owner{}, fmt.Errorf("embeddedpg: owner of %s is unknown", pgdata)
		}
		return ownerOfFolder(pgdata, euid, int(st.Uid), int(st.Gid))
	}
	if !os.IsNotExist(err) && !os.IsPermission(err) {
		return owner{}, fmt.Errorf("embeddedpg: data folder: %w", err)
	}
	if euid != 0 {
		return owner{name: strconv.Itoa(euid), uid: euid, gid: os.Getegid()}, nil
	}
	names := defaultUsers
	if wanted != "" {
		names = []string{wanted}
	}
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if uidErr != nil || gidErr != nil || uid == 0 {
			return owner{}, fmt.Errorf("embeddedpg: user %s cannot run postgres: PostgreSQL refuses uid 0", name)
		}
		return owner{name: name, uid: uid, gid: gid, drop: true}, nil
	}
	return owner{}, fmt.Errorf("embeddedpg: PostgreSQL does not run as root and no other user was found (tried %s): create one and name it in MADBASE_PG_USER", strings.Join(names, ", "))
}

func ownerOfFolder(pgdata string, euid, uid, gid int) (owner, error) {
	o := owner{name: strconv.Itoa(uid), uid: uid, gid: gid, drop: euid == 0}
	if u, err := user.LookupId(o.name); err == nil {
		o.name = u.Username
	}
	switch {
	case uid == 0:
		return owner{}, fmt.Errorf("embeddedpg: %s belongs to root, as whom PostgreSQL does not run: give it to another user (chown -R)", pgdata)
	case euid != 0 && euid != uid:
		return owner{}, fmt.Errorf("embeddedpg: %s belongs to user %s: run madbase as that user or as root", pgdata, o.name)
	}
	return o, nil
}

// dirMode is for folders that hold the owner's folders: when the owner is another user it must pass through, yet need not list them.
func (o owner) dirMode() os.FileMode {
	if o.drop {
		return 0o711
	}
	return 0o700
}

// openUp lets another user pass the folders that madbase itself keeps.
func (o owner) openUp(dirs ...string) error {
	if !o.drop {
		return nil
	}
	for _, dir := range dirs {
		fi, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if o.canEnter(fi) {
			continue
		}
		if err := os.Chmod(dir, fi.Mode().Perm()|0o111); err != nil {
			return err
		}
	}
	return nil
}

// blockedAt names the first folder above own that the owner cannot pass on the way to path, or nothing. The folder own and what is below
// it belong to madbase, which opens them itself.
func (o owner) blockedAt(own, path string) string {
	if !o.drop {
		return ""
	}
	dir := filepath.Dir(path)
	blocked := ""
	for ; ; dir = filepath.Dir(dir) {
		if fi, err := os.Stat(dir); err == nil && dir != own && !o.canEnter(fi) {
			blocked = dir
		}
		if dir == filepath.Dir(dir) {
			return blocked
		}
	}
}

// canEnter judges by the mode bits alone; access lists are not looked at.
func (o owner) canEnter(fi os.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	mode := fi.Mode().Perm()
	switch {
	case ok && int(st.Uid) == o.uid:
		return mode&0o100 != 0
	case ok && int(st.Gid) == o.gid:
		return mode&0o010 != 0
	}
	return mode&0o001 != 0
}

// mkdir makes a private folder for the owner.
func (o owner) mkdir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return o.give(dir)
}

// owns fails unless dir is a real folder of the owner that nobody else can enter.
func (o owner) owns(dir string) error {
	fi, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || !fi.IsDir() || int(st.Uid) != o.uid || fi.Mode().Perm() != 0o700 {
		return fmt.Errorf("%s exists and is not a private folder of user %s", dir, o.name)
	}
	return nil
}

// give hands a file or folder over to the owner.
func (o owner) give(path string) error {
	if !o.drop {
		return nil
	}
	return os.Lchown(path, o.uid, o.gid)
}

// procAttr runs a child as the owner, in a process group of its own so that a terminal's Ctrl-C reaches only madbase, which then
// stops postgres after its own work is drained.
func (o owner) procAttr() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if o.drop {
		attr.Credential = &syscall.Credential{Uid: uint32(o.uid), Gid: uint32(o.gid)}
	}
	dieWithParent(attr)
	return attr
}
