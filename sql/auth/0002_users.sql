CREATE TABLE IF NOT EXISTS auth.users (
	instance_id                 uuid,
	id                          uuid NOT NULL,
	aud                         varchar(255),
	role                        varchar(255),
	email                       varchar(255),
	encrypted_password          varchar(255),
	email_confirmed_at          timestamptz,
	invited_at                  timestamptz,
	confirmation_token          varchar(255),
	confirmation_sent_at        timestamptz,
	recovery_token              varchar(255),
	recovery_sent_at            timestamptz,
	email_change_token_new      varchar(255),
	email_change                varchar(255),
	email_change_sent_at        timestamptz,
	last_sign_in_at             timestamptz,
	raw_app_meta_data           jsonb,
	raw_user_meta_data          jsonb,
	is_super_admin              boolean,
	created_at                  timestamptz,
	updated_at                  timestamptz,
	phone                       text DEFAULT NULL::varchar,
	phone_confirmed_at          timestamptz,
	phone_change                text DEFAULT ''::varchar,
	phone_change_token          varchar(255) DEFAULT '',
	phone_change_sent_at        timestamptz,
	confirmed_at                timestamptz GENERATED ALWAYS AS (LEAST(email_confirmed_at, phone_confirmed_at)) STORED,
	email_change_token_current  varchar(255) DEFAULT '',
	email_change_confirm_status smallint DEFAULT 0,
	banned_until                timestamptz,
	reauthentication_token      varchar(255) DEFAULT '',
	reauthentication_sent_at    timestamptz,
	is_sso_user                 boolean DEFAULT false NOT NULL,
	deleted_at                  timestamptz,
	is_anonymous                boolean DEFAULT false NOT NULL,
	CONSTRAINT users_pkey PRIMARY KEY (id),
	CONSTRAINT users_phone_key UNIQUE (phone),
	CONSTRAINT users_email_change_confirm_status_check CHECK (email_change_confirm_status >= 0 AND email_change_confirm_status <= 2)
);
-- One address, one account; those of a company's own sign-on may repeat it.
CREATE UNIQUE INDEX IF NOT EXISTS users_email_partial_key ON auth.users (email) WHERE is_sso_user = false;
CREATE INDEX IF NOT EXISTS users_instance_id_email_idx ON auth.users (instance_id, lower(email::text));
CREATE INDEX IF NOT EXISTS users_instance_id_idx ON auth.users (instance_id);
CREATE INDEX IF NOT EXISTS users_is_anonymous_idx ON auth.users (is_anonymous);
-- Hashes are unique, short codes of digits need not be.
CREATE UNIQUE INDEX IF NOT EXISTS confirmation_token_idx ON auth.users (confirmation_token) WHERE confirmation_token::text !~ '^[0-9 ]*$';
CREATE UNIQUE INDEX IF NOT EXISTS recovery_token_idx ON auth.users (recovery_token) WHERE recovery_token::text !~ '^[0-9 ]*$';
CREATE UNIQUE INDEX IF NOT EXISTS email_change_token_current_idx ON auth.users (email_change_token_current) WHERE email_change_token_current::text !~ '^[0-9 ]*$';
CREATE UNIQUE INDEX IF NOT EXISTS email_change_token_new_idx ON auth.users (email_change_token_new) WHERE email_change_token_new::text !~ '^[0-9 ]*$';
CREATE UNIQUE INDEX IF NOT EXISTS reauthentication_token_idx ON auth.users (reauthentication_token) WHERE reauthentication_token::text !~ '^[0-9 ]*$';

CREATE TABLE IF NOT EXISTS auth.identities (
	provider_id     text NOT NULL,
	user_id         uuid NOT NULL,
	identity_data   jsonb NOT NULL,
	provider        text NOT NULL,
	last_sign_in_at timestamptz,
	created_at      timestamptz,
	updated_at      timestamptz,
	email           text GENERATED ALWAYS AS (lower(identity_data ->> 'email')) STORED,
	id              uuid DEFAULT gen_random_uuid() NOT NULL,
	CONSTRAINT identities_pkey PRIMARY KEY (id),
	CONSTRAINT identities_provider_id_provider_unique UNIQUE (provider_id, provider),
	CONSTRAINT identities_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS identities_email_idx ON auth.identities (email text_pattern_ops);
CREATE INDEX IF NOT EXISTS identities_user_id_idx ON auth.identities (user_id);

CREATE TABLE IF NOT EXISTS auth.one_time_tokens (
	id         uuid NOT NULL,
	user_id    uuid NOT NULL,
	token_type auth.one_time_token_type NOT NULL,
	token_hash text NOT NULL,
	relates_to text NOT NULL,
	created_at timestamp DEFAULT now() NOT NULL,
	updated_at timestamp DEFAULT now() NOT NULL,
	CONSTRAINT one_time_tokens_pkey PRIMARY KEY (id),
	CONSTRAINT one_time_tokens_token_hash_check CHECK (char_length(token_hash) > 0),
	CONSTRAINT one_time_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX IF NOT EXISTS one_time_tokens_user_id_token_type_key ON auth.one_time_tokens (user_id, token_type);
CREATE INDEX IF NOT EXISTS one_time_tokens_relates_to_hash_idx ON auth.one_time_tokens USING hash (relates_to);
CREATE INDEX IF NOT EXISTS one_time_tokens_token_hash_hash_idx ON auth.one_time_tokens USING hash (token_hash);

CREATE TABLE IF NOT EXISTS auth.audit_log_entries (
	instance_id uuid,
	id          uuid NOT NULL,
	payload     json,
	created_at  timestamptz,
	ip_address  varchar(64) DEFAULT '' NOT NULL,
	CONSTRAINT audit_log_entries_pkey PRIMARY KEY (id)
);
CREATE INDEX IF NOT EXISTS audit_logs_instance_id_idx ON auth.audit_log_entries (instance_id);

-- Unused, yet in every dump.
CREATE TABLE IF NOT EXISTS auth.instances (
	id              uuid NOT NULL,
	uuid            uuid,
	raw_base_config text,
	created_at      timestamptz,
	updated_at      timestamptz,
	CONSTRAINT instances_pkey PRIMARY KEY (id)
);
