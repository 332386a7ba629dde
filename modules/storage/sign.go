package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
)

// urlToken is what a signed URL's token says: which object it opens, for what,
// until when. Upload tokens have Upsert and may have Owner, those that open a
// transformed image have Transformations and Format.
type urlToken struct {
	Owner   string `json:"owner,omitempty"`
	URL     string `json:"url"`
	Upsert  bool   `json:"upsert"`
	Scope   string `json:"scope"`
	Issued  int64  `json:"iat"`
	Expires int64  `json:"exp"`

	Transformations string `json:"-"`
	Format          string `json:"-"`
}

// downloadToken is a urlToken without the members that make an upload's.
type downloadToken struct {
	Transformations string `json:"transformations,omitempty"`
	Format          string `json:"format,omitempty"`
	URL             string `json:"url"`
	Scope           string `json:"scope"`
	Issued          int64  `json:"iat"`
	Expires         int64  `json:"exp"`
}

// signDownload mints the token that opens target for seconds from now.
func (rq *call) signDownload(target string, seconds int64) (string, error) {
	return rq.signImage(target, seconds, "", "")
}

// signImage is signDownload for what is transformed.
func (rq *call) signImage(target string, seconds int64, transformations, format string) (string, error) {
	issued := time.Now().Unix()
	return rq.sign(downloadToken{transformations, format, target, "download", issued, issued + seconds})
}

func (rq *call) sign(token any) (string, error) {
	payload, err := json.Marshal(token)
	if err != nil {
		return "", fmt.Errorf("storage: sign URL: %w", err)
	}
	return rq.project.Keys.Sign(payload)
}

// verifyURL is verifyToken of the query's token.
func (rq *call) verifyURL(scope string) (urlToken, error) {
	text := rq.QueryParam("token")
	if text == "" {
		return urlToken{}, errInvalid("querystring must have required property 'token'")
	}
	return rq.verifyToken(text, scope)
}

// verifyToken checks a token: signature, time to the second, and that it was made
// for scope and for this very object. Tokens of before there were scopes are told
// apart by the claim upsert.
func (rq *call) verifyToken(text, scope string) (token urlToken, err error) {
	caller, err := rq.project.Keys.VerifyURL(text)
	switch {
	case errors.Is(err, claims.ErrPurpose):
		return token, errSignature("Token is not scoped for " + scope)
	case err != nil:
		return token, errJWT(tokenMessage(err)).Because(err)
	}
	target, _ := caller.SignedURL()
	got, _ := caller.Payload["scope"].(string)
	upsert, hasUpsert := caller.Payload["upsert"]
	if got == "" && hasUpsert {
		got = "upload"
	} else if got == "" {
		got = "download"
	}
	switch {
	case got != scope:
		return token, errSignature("Token is not scoped for " + scope)
	case target != rq.bucket+"/"+rq.key:
		return token, errSignature("Invalid signature")
	case caller.Expires.IsZero() || !time.Now().Before(caller.Expires):
		return token, errJWT(tokenMessage(claims.ErrExpired))
	}
	token.URL, token.Scope, token.Expires = target, got, caller.Expires.Unix()
	token.Owner, _ = caller.Payload["owner"].(string)
	token.Upsert, _ = upsert.(bool)
	token.Transformations, _ = caller.Payload["transformations"].(string)
	token.Format, _ = caller.Payload["format"].(string)
	return token, nil
}

// verifyDownload is verifyURL for an object as it is: who was given a smaller
// picture of it is not given the original.
func (rq *call) verifyDownload() (urlToken, error) {
	token, err := rq.verifyURL("download")
	if err == nil && token.Transformations != "" {
		err = errSignature("Token is scoped for a transformed image")
	}
	return token, err
}

func errJWT(text string) *apierr.Error {
	return fail(http.StatusBadRequest, "InvalidJWT", "InvalidJWT", text)
}

// expiresIn reads a lifetime in seconds that a token can express.
func expiresIn(f *fields) int64 {
	f.require("expiresIn")
	seconds := f.integer("expiresIn", 1)
	if seconds == nil {
		if f.has("expiresIn") {
			f.fault("expiresIn", "must be integer")
		}
		return 0
	}
	if *seconds > math.MaxInt32*100 { // some 6800 years; times stay exact far beyond
		f.fault("expiresIn", "must be <= "+strconv.Itoa(math.MaxInt32*100))
	}
	return *seconds
}

// signURL gives out a URL that opens one object to whoever has it.
func (m *Module) signURL(rq *call) error {
	f, err := rq.body()
	if err != nil {
		return err
	}
	seconds := expiresIn(f)
	options := f.object("transform")
	t := readTransform(options)
	f.join(options)
	if err := f.fails(); err != nil {
		return err
	}
	transformations, route := "", "/object/sign/"
	if m.cfg.Images.Enabled {
		transformations = t.words(m.cfg.Images, true)
	}
	if transformations == "" {
		t.format = ""
	} else {
		route = "/render/image/sign/"
	}
	if _, err := store.FindObjectOnce(rq.ctx(), rq.as(rq.own), rq.bucket, rq.key); err != nil {
		return err
	}
	target := rq.bucket + "/" + rq.key
	token, err := rq.signImage(target, seconds, transformations, t.format)
	if err != nil {
		return err
	}
	return httpx.JSON(rq, http.StatusOK, struct {
		SignedURL string `json:"signedURL"`
	}{route + target + "?token=" + token})
}

// maxPaths is how many URLs one request may sign.
const maxPaths = 1000

type signedPath struct {
	Error     *string `json:"error"`
	Path      string  `json:"path"`
	SignedURL *string `json:"signedURL"`
}

func (m *Module) signURLs(rq *call) error {
	f, err := rq.body()
	if err != nil {
		return err
	}
	seconds := expiresIn(f)
	f.require("paths")
	paths := f.texts("paths")
	switch {
	case len(paths) < 1:
		f.fault("paths", "must NOT have fewer than 1 items")
	case len(paths) > maxPaths:
		f.fault("paths", "must NOT have more than "+strconv.Itoa(maxPaths)+" items")
	}
	if err := f.fails(); err != nil {
		return err
	}
	var found map[string]bool
	err = rq.do(func(ctx context.Context, q db.Queryer) (err error) {
		found, err = store.Existing(ctx, q, rq.bucket, paths)
		return err
	})
	if err != nil {
		return err
	}
	missing := "Either the object does not exist or you do not have access to it"
	answer := make([]signedPath, 0, len(paths))
	for _, path := range paths {
		if !found[path] {
			answer = append(answer, signedPath{&missing, path, nil})
			continue
		}
		token, err := rq.signDownload(rq.bucket+"/"+path, seconds)
		if err != nil {
			return err
		}
		url := "/object/sign/" + rq.bucket + "/" + path + "?token=" + token
		answer = append(answer, signedPath{nil, path, &url})
	}
	return httpx.JSON(rq, http.StatusOK, answer)
}

// signUpload gives out a URL that takes one upload from whoever has it. Policies are asked now.
func (m *Module) signUpload(rq *call) error {
	r := rq.Request()
	as := uploadAs{owner: rq.owner(), upsert: r.Header.Get("X-Upsert") == "true", rights: rq.own}
	object := store.NewObject{Bucket: rq.bucket, Name: rq.key, Owner: as.owner, UserMetadata: headerMetadata(r.Header.Get("X-Metadata"))}
	if err := mayWrite(rq, as, object, r.Header.Get("Content-Type"), r.ContentLength); err != nil {
		return err
	}
	issued := time.Now().Unix()
	target := rq.bucket + "/" + rq.key
	token, err := rq.sign(urlToken{
		Owner: deref(as.owner), URL: target, Upsert: as.upsert, Scope: "upload",
		Issued: issued, Expires: issued + int64(m.cfg.UploadTTL),
	})
	if err != nil {
		return err
	}
	return httpx.JSON(rq, http.StatusOK, struct {
		URL   string `json:"url"`
		Token string `json:"token"`
	}{"/object/upload/sign/" + target + "?token=" + token, token})
}
