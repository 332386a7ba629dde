package sms_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/auth/sms"
)

// request is what a provider got.
type request struct {
	path string
	auth string
	form url.Values
}

// fake is a provider that answers everything with one status and body.
func fake(t *testing.T, status int, body string) (sms.Endpoint, func() request) {
	t.Helper()
	var got request
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		got = request{r.URL.Path, r.Header.Get("Authorization"), r.PostForm}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return sms.Endpoint{BaseURL: s.URL}, func() request { return got }
}

// config has all providers' settings; the token of each is "s3cret".
func config(provider string) sms.Config {
	return sms.Config{
		Provider: provider, Template: "Code {{ .Code }}!", OTPLength: 6, OTPExp: 60, MaxEvery: time.Minute, RateSent: "30",
		Twilio:       sms.TwilioConfig{AccountSID: "AC1", AuthToken: "s3cret", Sender: "15005550006"},
		TwilioVerify: sms.TwilioVerifyConfig{AccountSID: "AC1", AuthToken: "s3cret", Service: "VA1"},
		MessageBird:  sms.MessageBirdConfig{AccessKey: "s3cret", Originator: "App"},
		TextLocal:    sms.TextLocalConfig{APIKey: "s3cret", Sender: "App"},
		Vonage:       sms.VonageConfig{APIKey: "key1", APISecret: "s3cret", From: "App"},
	}
}

func sender(t *testing.T, cfg sms.Config, at sms.Endpoint) *sms.Sender {
	t.Helper()
	s, err := sms.New(cfg, at)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func message(s *sms.Sender, channel string) sms.Message {
	return sms.Message{Phone: "15550001001", Channel: channel, Text: s.Text("123456"), Code: "123456"}
}

const basic = "Basic QUMxOnMzY3JldA==" // AC1:s3cret

// What the providers' documentation shows is what they get, and their ids come back.
func TestSend(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		channel, answer string
		status          int
		want            request
		id              string
	}{
		"twilio": {"sms", `{"sid":"SM1","status":"queued","error_code":null,"error_message":null}`, 201, request{
			"/2010-04-01/Accounts/AC1/Messages.json", basic,
			url.Values{"To": {"+15550001001"}, "From": {"15005550006"}, "Body": {"Code 123456!"}, "Channel": {"sms"}},
		}, "SM1"},
		"twilio whatsapp": {"whatsapp", `{"sid":"SM2","status":"queued"}`, 200, request{
			"/2010-04-01/Accounts/AC1/Messages.json", basic,
			url.Values{"To": {"whatsapp:+15550001001"}, "From": {"whatsapp:15005550006"}, "Body": {"Code 123456!"}, "Channel": {"whatsapp"}},
		}, "SM2"},
		"twilio_verify": {"whatsapp", `{"sid":"VE1","status":"pending","valid":false}`, 201, request{
			"/v2/Services/VA1/Verifications", basic, url.Values{"To": {"+15550001001"}, "Channel": {"whatsapp"}},
		}, "VE1"},
		"messagebird": {"sms", `{"id":"mb1","recipients":{"totalSentCount":1}}`, 201, request{
			"/messages", "AccessKey s3cret",
			url.Values{"originator": {"App"}, "body": {"Code 123456!"}, "recipients": {"15550001001"}, "type": {"sms"}, "datacoding": {"unicode"}},
		}, "mb1"},
		"vonage": {"sms", `{"message-count":"1","messages":[{"message-id":"v1","status":"0"}]}`, 200, request{
			"/sms/json", "",
			url.Values{"from": {"App"}, "to": {"15550001001"}, "text": {"Code 123456!"}, "api_key": {"key1"}, "api_secret": {"s3cret"}},
		}, "v1"},
		"textlocal": {"sms", `{"status":"success","messages":[{"id":12345678901234567,"recipient":15550001001}]}`, 200, request{
			"/send", "", url.Values{"sender": {"App"}, "apikey": {"s3cret"}, "message": {"Code 123456!"}, "numbers": {"15550001001"}},
		}, "12345678901234567"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, got := fake(t, tt.status, tt.answer)
			provider, _, _ := strings.Cut(name, " ")
			s := sender(t, config(provider), at)
			id, err := s.Send(t.Context(), message(s, tt.channel))
			if err != nil || id != tt.id {
				t.Fatalf("%q, %v", id, err)
			}
			if r := got(); r.path != tt.want.path || r.auth != tt.want.auth || r.form.Encode() != tt.want.form.Encode() {
				t.Errorf("got %+v\nwant %+v", r, tt.want)
			}
		})
	}
}

func TestWhatsAppTemplate(t *testing.T) {
	t.Parallel()
	at, got := fake(t, 201, `{"sid":"SM1","status":"queued"}`)
	cfg := config("twilio")
	cfg.Twilio.ContentSID, cfg.Twilio.Sender = "HX1", "MG1"
	s := sender(t, cfg, at)
	if _, err := s.Send(t.Context(), message(s, sms.ChannelWhatsApp)); err != nil {
		t.Fatal(err)
	}
	want := url.Values{
		"To": {"whatsapp:+15550001001"}, "From": {"MG1"}, "Channel": {"whatsapp"}, "ContentSid": {"HX1"}, "ContentVariables": {`{"1":"123456"}`},
	}
	if form := got().form; form.Encode() != want.Encode() {
		t.Errorf("got %v", form)
	}
}

func TestUnicodeAtVonage(t *testing.T) {
	t.Parallel()
	at, got := fake(t, 200, `{"messages":[{"message-id":"v1","status":"0"}]}`)
	cfg := config("vonage")
	cfg.Template = "Código {{ .Code }}"
	s := sender(t, cfg, at)
	if _, err := s.Send(t.Context(), message(s, sms.ChannelSMS)); err != nil || got().form.Get("type") != "unicode" {
		t.Errorf("%v, %v", got().form, err)
	}
}

// Refusals name provider and reason, keep the account's texts and the code to
// themselves, and say whether the number is at fault.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status    int
		answer    string
		recipient bool
		says      string
	}{
		"twilio number":         {400, `{"code":21211,"message":"Invalid 'To' Phone Number","more_info":"https://www.twilio.com/docs/errors/21211","status":400}`, true, "twilio answered 400, code 21211: Invalid 'To' Phone Number More information: https://www.twilio.com/docs/errors/21211"},
		"twilio account":        {404, `{"code":20404,"message":"The requested resource /2010-04-01/Accounts/AC1/Messages.json was not found","status":404}`, false, "code 20404: The requested resource /2010-04-01/Accounts/[hidden]/Messages.json"},
		"twilio failed":         {200, `{"sid":"SM1","status":"failed","error_code":30003,"error_message":"Unreachable destination handset"}`, true, "code 30003: Unreachable"},
		"twilio redirect":       {302, `{}`, false, "twilio answered 302"},
		"twilio_verify many":    {429, `{"code":60203,"message":"Max send attempts reached","status":429}`, false, "code 60203: Max send attempts reached"},
		"messagebird number":    {422, `{"errors":[{"code":9,"description":"no (correct) recipients found","parameter":"recipients"}]}`, true, "messagebird answered 422, code 9: no (correct) recipients found"},
		"messagebird key":       {401, `{"errors":[{"code":2,"description":"Request not allowed (incorrect access_key s3cret)","parameter":"access_key"}]}`, false, "incorrect access_key [hidden]"},
		"messagebird none":      {201, `{"id":"x","recipients":{"totalSentCount":0}}`, false, "no message was sent"},
		"messagebird no errors": {403, `{"errors":[]}`, false, "messagebird answered 403"},
		"vonage number":         {200, `{"messages":[{"status":"6","error-text":"Unroutable message - rejected"}]}`, true, "vonage answered 200, code 6: Unroutable"},
		"vonage secret":         {200, `{"messages":[{"status":"4","error-text":"Bad Credentials key1 s3cret"}]}`, false, "Bad Credentials [hidden] [hidden]"},
		"vonage nothing":        {200, `{"messages":[]}`, false, "no message"},
		"textlocal template":    {200, `{"status":"failure","errors":[{"code":80,"message":"Invalid template: Code 123456!"}]}`, false, "code 80: Invalid template: Code [hidden]!"},
		"textlocal number":      {200, `{"status":"failure","errors":[{"code":32,"message":"Invalid number format"}]}`, true, "code 32"},
		"textlocal nothing":     {200, `{}`, false, "was not taken"},
		"twilio lines":          {400, `{"code":1,"message":"a\nlevel=error forged\u001b[2J"}`, true, "code 1: a level=error forged [2J"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, _ := fake(t, tt.status, tt.answer)
			provider, _, _ := strings.Cut(name, " ")
			s := sender(t, config(provider), at)
			_, err := s.Send(t.Context(), message(s, sms.ChannelSMS))
			var e *sms.Error
			if !errors.As(err, &e) || e.Recipient != tt.recipient || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("%+v: %v", e, err)
			}
			for _, secret := range []string{"s3cret", "123456"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%v has %q", err, secret)
				}
			}
		})
	}
}

// Whatever comes back instead of an answer is an error that does not name the address.
func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"no JSON": "<html>", "empty": "", "huge": `{"sid":"` + strings.Repeat("x", 1<<20) + `"}`, "other types": `{"sid":[1],"messages":1,"errors":1,"id":{}}`,
	} {
		for _, provider := range []string{"twilio", "twilio_verify", "messagebird", "vonage", "textlocal"} {
			at, _ := fake(t, 200, body)
			s := sender(t, config(provider), at)
			_, err := s.Send(t.Context(), message(s, sms.ChannelSMS))
			if _, ok := errors.AsType[*sms.Error](err); !ok {
				t.Errorf("%s, %s: %v", provider, name, err)
			}
		}
	}
	s := sender(t, config("twilio"), sms.Endpoint{BaseURL: "http://127.0.0.1:1"})
	if _, err := s.Send(t.Context(), message(s, sms.ChannelSMS)); err == nil || strings.Contains(err.Error(), "AC1") {
		t.Errorf("%v", err)
	}
}

// A provider that does not answer holds nobody for longer than the setting says.
func TestTimeout(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(hold) })
	s := sender(t, config("vonage"), sms.Endpoint{BaseURL: slow.URL, Timeout: 50 * time.Millisecond})
	begun := time.Now()
	_, err := s.Send(t.Context(), message(s, sms.ChannelSMS))
	if _, ok := errors.AsType[*sms.Error](err); !ok || time.Since(begun) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(begun))
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status int
		answer string
		want   error // nil: approved
		other  bool  // an *Error
	}{
		"right":   {200, `{"status":"approved","valid":true}`, nil, false},
		"wrong":   {200, `{"status":"pending","valid":false}`, sms.ErrWrongCode, false},
		"halfway": {200, `{"status":"approved","valid":false}`, sms.ErrWrongCode, false},
		"none":    {404, `{"code":20404,"message":"not found","status":404}`, sms.ErrWrongCode, false},
		"often":   {429, `{"code":60202,"message":"Max check attempts reached","status":429}`, sms.ErrWrongCode, false},
		"account": {401, `{"code":20003,"message":"Authenticate","status":401}`, nil, true},
		"down":    {503, ``, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, got := fake(t, tt.status, tt.answer)
			s := sender(t, config("twilio_verify"), at)
			err := s.Check(t.Context(), "15550001001", "654321")
			_, other := errors.AsType[*sms.Error](err)
			if other != tt.other || !other && !errors.Is(err, tt.want) {
				t.Errorf("%v", err)
			}
			want := url.Values{"To": {"+15550001001"}, "Code": {"654321"}}
			if r := got(); r.path != "/v2/Services/VA1/VerificationCheck" || r.auth != basic || r.form.Encode() != want.Encode() {
				t.Errorf("%+v", r)
			}
		})
	}
	s := sender(t, config("twilio"), sms.Endpoint{})
	if err := s.Check(t.Context(), "15550001001", "1"); s.ChecksCodes() || !errors.Is(err, sms.ErrNoProvider) {
		t.Errorf("twilio checks codes: %v", err)
	}
}

func TestChannelsAndPrefixes(t *testing.T) {
	t.Parallel()
	for provider, whatsapp := range map[string]bool{"": false, "twilio": true, "twilio_verify": true, "messagebird": false, "vonage": false, "textlocal": false} {
		s := sender(t, config(provider), sms.Endpoint{})
		if !s.Takes("sms") || s.Takes("whatsapp") != whatsapp || s.Takes("pigeon") || s.Takes("") {
			t.Errorf("%q", provider)
		}
	}
	s := sender(t, config(""), sms.Endpoint{})
	if _, err := s.Send(t.Context(), message(s, "sms")); !errors.Is(err, sms.ErrNoProvider) {
		t.Errorf("%v", err)
	}
	cfg := config("twilio")
	cfg.Prefixes = []string{"+49", "4179"}
	s = sender(t, cfg, sms.Endpoint{BaseURL: "http://127.0.0.1:1"})
	if _, err := s.Send(t.Context(), message(s, "sms")); !errors.Is(err, sms.ErrPrefix) {
		t.Errorf("%v", err)
	}
	if !s.Serves("491701234567") || !s.Serves("41791234567") || s.Serves("41441234567") {
		t.Error("prefixes")
	}
}

func TestTestCodes(t *testing.T) {
	t.Parallel()
	cfg := config("")
	cfg.TestOTP, cfg.TestOTPValidUntil = "+1 555 000 1001:123456, 15550001002:abc:d,", "2030-01-01T00:00:00Z"
	s := sender(t, cfg, sms.Endpoint{})
	before, after := time.Date(2029, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	if !s.IsTestCode("15550001001", "123456", before) || !s.IsTestCode("15550001002", "abc:d", before) {
		t.Error("the codes are not taken")
	}
	if s.IsTestCode("15550001001", "123457", before) || s.IsTestCode("15550001003", "", before) || s.IsTestCode("15550001001", "123456", after) {
		t.Error("other codes are taken")
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	if err := config("twilio").Validate(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*sms.Config){
		"GOTRUE_SMS_OTP_LENGTH":           func(c *sms.Config) { c.OTPLength = 11 },
		"GOTRUE_SMS_OTP_EXP":              func(c *sms.Config) { c.OTPExp = 0 },
		"GOTRUE_SMS_MAX_FREQUENCY":        func(c *sms.Config) { c.MaxEvery = -1 },
		"GOTRUE_RATE_LIMIT_SMS_SENT":      func(c *sms.Config) { c.RateSent = "many" },
		"SMS_TEMPLATE: is not a template": func(c *sms.Config) { c.Template = "{{ .Token }}" },
		"GOTRUE_SMS_TEMPLATE: has no":     func(c *sms.Config) { c.Template = "hello" },
		"GOTRUE_SMS_TEST_OTP is not a":    func(c *sms.Config) { c.TestOTP = "15550001001" },
		"GOTRUE_SMS_TEST_OTP_VALID_UNTIL": func(c *sms.Config) { c.TestOTPValidUntil = "tomorrow" },
		"MADBASE_SMS_PREFIXES":            func(c *sms.Config) { c.Prefixes = []string{"DE"} },
		`"pigeon" is none of twilio`:      func(c *sms.Config) { c.Provider = "pigeon" },
		"needs GOTRUE_SMS_VONAGE_API_SECRET, GOTRUE_SMS_VONAGE_FROM": func(c *sms.Config) {
			c.Provider, c.Vonage = "vonage", sms.VonageConfig{APIKey: "k"}
		},
	} {
		c := config("twilio")
		change(&c)
		err := c.Validate()
		if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "TEST_OTP:", "TEST_OTP"), want) || strings.Contains(err.Error(), "15550001001") {
			t.Errorf("want %s: %v", want, err)
		}
	}
}

func FuzzParseTemplate(f *testing.F) {
	for _, text := range []string{"Your code is {{ .Code }}", "{{", "{{ .Code.X }}", `{{ define "x" }}{{ end }}{{ .Code }}`, "{{ if .Code }}{{ .Code }}{{ end }}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "template") || strings.Contains(text, "range") {
			t.Skip() // the operator may write what does not end
		}
		if tpl, err := sms.ParseTemplate(text); err == nil {
			tpl.Text("123456")
		}
	})
}

// No answer of a provider makes trouble.
func FuzzAnswer(f *testing.F) {
	f.Add(200, `{"sid":"SM1","status":"queued"}`)
	f.Add(400, `{"code":21211,"message":"x"}`)
	f.Add(200, `{"messages":[{"status":"0","message-id":1}],"errors":[{"code":{}}]}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			t.Skip()
		}
		for _, provider := range []string{"twilio", "twilio_verify", "messagebird", "vonage", "textlocal"} {
			s, err := sms.New(config(provider), sms.Endpoint{BaseURL: "http://provider.invalid", Transport: answerer{status, body}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Send(t.Context(), message(s, sms.ChannelSMS)); err != nil && strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("%q", err)
			}
			_ = s.Check(t.Context(), "15550001001", "1")
		}
	})
}

type answerer struct {
	status int
	body   string
}

// RoundTrip answers without a network.
func (a answerer) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Body: io.NopCloser(strings.NewReader(a.body)), Header: http.Header{}, Request: r}, nil
}
