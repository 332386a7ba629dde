// Command s3server is an S3 server for tests: versitygw on a folder. It is a module of its own, so that its many dependencies stay out of madbase's.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9000", "address to listen on")
	dir := flag.String("dir", "", "folder for the objects; created when absent")
	access := flag.String("access", "", "access key")
	secret := flag.String("secret", "", "secret key")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *dir, *access, *secret); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "s3server:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, listen, dir, access, secret string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// Object metadata lives in extended attributes where the file system has them, else in files beside the folder.
	var store meta.MetadataStorer = meta.XattrMeta{}
	opts := posix.PosixOpts{CopyObjectThreshold: 5 << 30} // bytes of one copy, as S3 itself; the zero value refuses every copy
	if err := (meta.XattrMeta{}).Test(dir); err != nil {
		opts.SideCarDir = filepath.Join(filepath.Dir(dir), "meta-of-"+filepath.Base(dir))
		if err := os.MkdirAll(opts.SideCarDir, 0o755); err != nil {
			return err
		}
		if store, err = meta.NewSideCar(opts.SideCarDir); err != nil {
			return err
		}
	}
	backend, err := posix.New(dir, store, opts)
	if err != nil {
		return err
	}
	return embedgw.RunVersityGW(ctx, backend, &embedgw.Config{
		RootUserAccess: access, RootUserSecret: secret, Region: "us-east-1", Ports: []string{listen},
		MaxConnections: 4096, MaxRequests: 2048, MultipartMaxParts: 10000, KeepAlive: true, Quiet: true,
	})
}
