CREATE TABLE IF NOT EXISTS auth.mfa_factors (
	id                           uuid NOT NULL,
	user_id                      uuid NOT NULL,
	friendly_name                text,
	factor_type                  auth.factor_type NOT NULL,
	status                       auth.factor_status NOT NULL,
	created_at                   timestamptz NOT NULL,
	updated_at                   timestamptz NOT NULL,
	secret                       text,
	phone                        text,
	last_challenged_at           timestamptz,
	web_authn_credential         jsonb,
	web_authn_aaguid             uuid,
	last_webauthn_challenge_data jsonb,
	CONSTRAINT mfa_factors_pkey PRIMARY KEY (id),
	CONSTRAINT mfa_factors_last_challenged_at_key UNIQUE (last_challenged_at),
	CONSTRAINT mfa_factors_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS factor_id_created_at_idx ON auth.mfa_factors (user_id, created_at);
CREATE INDEX IF NOT EXISTS mfa_factors_user_id_idx ON auth.mfa_factors (user_id);
CREATE UNIQUE INDEX IF NOT EXISTS mfa_factors_user_friendly_name_unique ON auth.mfa_factors (friendly_name, user_id)
	WHERE TRIM(BOTH FROM friendly_name) <> '';
CREATE UNIQUE INDEX IF NOT EXISTS unique_phone_factor_per_user ON auth.mfa_factors (user_id, phone);

CREATE TABLE IF NOT EXISTS auth.mfa_challenges (
	id                     uuid NOT NULL,
	factor_id              uuid NOT NULL,
	created_at             timestamptz NOT NULL,
	verified_at            timestamptz,
	ip_address             inet NOT NULL,
	otp_code               text,
	web_authn_session_data jsonb,
	CONSTRAINT mfa_challenges_pkey PRIMARY KEY (id),
	CONSTRAINT mfa_challenges_auth_factor_id_fkey FOREIGN KEY (factor_id) REFERENCES auth.mfa_factors (id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS mfa_challenge_created_at_idx ON auth.mfa_challenges (created_at DESC);

-- Passkeys.
CREATE TABLE IF NOT EXISTS auth.webauthn_credentials (
	id               uuid DEFAULT gen_random_uuid() NOT NULL,
	user_id          uuid NOT NULL,
	credential_id    bytea NOT NULL,
	public_key       bytea NOT NULL,
	attestation_type text DEFAULT '' NOT NULL,
	aaguid           uuid,
	sign_count       bigint DEFAULT 0 NOT NULL,
	transports       jsonb DEFAULT '[]' NOT NULL,
	backup_eligible  boolean DEFAULT false NOT NULL,
	backed_up        boolean DEFAULT false NOT NULL,
	friendly_name    text DEFAULT '' NOT NULL,
	created_at       timestamptz DEFAULT now() NOT NULL,
	updated_at       timestamptz DEFAULT now() NOT NULL,
	last_used_at     timestamptz,
	CONSTRAINT webauthn_credentials_pkey PRIMARY KEY (id),
	CONSTRAINT webauthn_credentials_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX IF NOT EXISTS webauthn_credentials_credential_id_key ON auth.webauthn_credentials (credential_id);
CREATE INDEX IF NOT EXISTS webauthn_credentials_user_id_idx ON auth.webauthn_credentials (user_id);

CREATE TABLE IF NOT EXISTS auth.webauthn_challenges (
	id             uuid DEFAULT gen_random_uuid() NOT NULL,
	user_id        uuid,
	challenge_type text NOT NULL,
	session_data   jsonb NOT NULL,
	created_at     timestamptz DEFAULT now() NOT NULL,
	expires_at     timestamptz NOT NULL,
	CONSTRAINT webauthn_challenges_pkey PRIMARY KEY (id),
	CONSTRAINT webauthn_challenges_challenge_type_check CHECK (challenge_type IN ('signup', 'registration', 'authentication')),
	CONSTRAINT webauthn_challenges_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS webauthn_challenges_expires_at_idx ON auth.webauthn_challenges (expires_at);
CREATE INDEX IF NOT EXISTS webauthn_challenges_user_id_idx ON auth.webauthn_challenges (user_id);
