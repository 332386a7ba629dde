package e2e_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/madbase/madbase/platform/testkit"
)

// buckets lists what a key of the S3 protocol sees at s; failed is the code of the refusal.
func (s *shape) buckets(t *testing.T, accessKey, secretKey string) (names []string, failed string) {
	t.Helper()
	client := s3.New(s3.Options{
		BaseEndpoint: aws.String(s.url + "/storage/v1/s3"), UsePathStyle: true, Region: "us-east-1", RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
	out, err := client.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	if refused, ok := errors.AsType[smithy.APIError](err); ok {
		return nil, refused.ErrorCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range out.Buckets {
		names = append(names, aws.ToString(b.Name))
	}
	return names, ""
}

// TestS3KeysOfProjects makes access keys of two projects in the control plane. Each
// opens its own project alone, and nothing once it is revoked.
func TestS3KeysOfProjects(t *testing.T) {
	t.Parallel()
	whole := alone(t, testkit.DataDir(t), "ADMIN_PASSWORD="+adminPassword)
	ref, project := whole.project(t)
	type key struct {
		ID        string
		AccessKey string `json:"access_key"`
		SecretKey string `json:"secret_key"`
	}
	made := map[*shape]key{}
	for s, ref := range map[*shape]string{whole: "default", project: ref} {
		status, body := call(t, http.MethodPost, s.url+"/storage/v1/bucket", `{"name":"of-`+ref+`"}`, "Authorization", "Bearer "+s.keys.Service.Reveal())
		if status != http.StatusOK {
			t.Fatal(status, body)
		}
		var k key
		text := whole.admin(t, http.MethodPost, "/projects/"+ref+"/s3/credentials", `{"description":"a test"}`, http.StatusCreated)
		if err := json.Unmarshal([]byte(text), &k); err != nil {
			t.Fatal(err)
		}
		made[s] = k
		if names, failed := s.buckets(t, k.AccessKey, k.SecretKey); failed != "" || !slices.Equal(names, []string{"of-" + ref}) {
			t.Errorf("%s: %v %s", ref, names, failed)
		}
	}
	for s, other := range map[*shape]key{whole: made[project], project: made[whole]} {
		if names, failed := s.buckets(t, other.AccessKey, other.SecretKey); failed != "AccessDenied" {
			t.Errorf("another project's key: %v %q", names, failed)
		}
	}
	whole.admin(t, http.MethodDelete, "/projects/"+ref+"/s3/credentials/"+made[project].ID, "", http.StatusNoContent)
	if text := whole.admin(t, http.MethodGet, "/projects/"+ref+"/s3/credentials", "", 200); text != "[]" && text != "[]\n" {
		t.Errorf("left: %s", text)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for revoked := time.Now(); ; <-tick.C {
		if _, failed := project.buckets(t, made[project].AccessKey, made[project].SecretKey); failed == "AccessDenied" {
			return
		}
		if time.Since(revoked) > 2*time.Second {
			t.Fatal("a revoked key still opens after two seconds")
		}
	}
}
