-- Sign-in by others: flows under way, companies' sign-on (SAML), custom OAuth providers.
CREATE TABLE IF NOT EXISTS auth.flow_state (
	id                     uuid NOT NULL,
	user_id                uuid,
	auth_code              text,
	code_challenge_method  auth.code_challenge_method,
	code_challenge         text,
	provider_type          text NOT NULL,
	provider_access_token  text,
	provider_refresh_token text,
	created_at             timestamptz,
	updated_at             timestamptz,
	authentication_method  text NOT NULL,
	auth_code_issued_at    timestamptz,
	invite_token           text,
	referrer               text,
	oauth_client_state_id  uuid,
	linking_target_id      uuid,
	email_optional         boolean DEFAULT false NOT NULL,
	CONSTRAINT flow_state_pkey PRIMARY KEY (id)
);
CREATE INDEX IF NOT EXISTS flow_state_created_at_idx ON auth.flow_state (created_at DESC);
CREATE INDEX IF NOT EXISTS idx_auth_code ON auth.flow_state (auth_code);
CREATE INDEX IF NOT EXISTS idx_user_id_auth_method ON auth.flow_state (user_id, authentication_method);

CREATE TABLE IF NOT EXISTS auth.oauth_client_states (
	id            uuid NOT NULL,
	provider_type text NOT NULL,
	code_verifier text,
	created_at    timestamptz NOT NULL,
	CONSTRAINT oauth_client_states_pkey PRIMARY KEY (id)
);
CREATE INDEX IF NOT EXISTS idx_oauth_client_states_created_at ON auth.oauth_client_states (created_at);

-- Comparing with "= NULL" makes the two checks so marked always pass; dumps have them so.
CREATE TABLE IF NOT EXISTS auth.sso_providers (
	id          uuid NOT NULL,
	resource_id text,
	created_at  timestamptz,
	updated_at  timestamptz,
	disabled    boolean,
	CONSTRAINT sso_providers_pkey PRIMARY KEY (id),
	CONSTRAINT "resource_id not empty" CHECK (resource_id = NULL::text OR char_length(resource_id) > 0)
);
CREATE UNIQUE INDEX IF NOT EXISTS sso_providers_resource_id_idx ON auth.sso_providers (lower(resource_id));
CREATE INDEX IF NOT EXISTS sso_providers_resource_id_pattern_idx ON auth.sso_providers (resource_id text_pattern_ops);

CREATE TABLE IF NOT EXISTS auth.sso_domains (
	id              uuid NOT NULL,
	sso_provider_id uuid NOT NULL,
	domain          text NOT NULL,
	created_at      timestamptz,
	updated_at      timestamptz,
	CONSTRAINT sso_domains_pkey PRIMARY KEY (id),
	CONSTRAINT "domain not empty" CHECK (char_length(domain) > 0),
	CONSTRAINT sso_domains_sso_provider_id_fkey FOREIGN KEY (sso_provider_id) REFERENCES auth.sso_providers (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX IF NOT EXISTS sso_domains_domain_idx ON auth.sso_domains (lower(domain));
CREATE INDEX IF NOT EXISTS sso_domains_sso_provider_id_idx ON auth.sso_domains (sso_provider_id);

CREATE TABLE IF NOT EXISTS auth.saml_providers (
	id                uuid NOT NULL,
	sso_provider_id   uuid NOT NULL,
	entity_id         text NOT NULL,
	metadata_xml      text NOT NULL,
	metadata_url      text,
	attribute_mapping jsonb,
	created_at        timestamptz,
	updated_at        timestamptz,
	name_id_format    text,
	CONSTRAINT saml_providers_pkey PRIMARY KEY (id),
	CONSTRAINT saml_providers_entity_id_key UNIQUE (entity_id),
	CONSTRAINT "entity_id not empty" CHECK (char_length(entity_id) > 0),
	CONSTRAINT "metadata_url not empty" CHECK (metadata_url = NULL::text OR char_length(metadata_url) > 0),
	CONSTRAINT "metadata_xml not empty" CHECK (char_length(metadata_xml) > 0),
	CONSTRAINT saml_providers_sso_provider_id_fkey FOREIGN KEY (sso_provider_id) REFERENCES auth.sso_providers (id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS saml_providers_sso_provider_id_idx ON auth.saml_providers (sso_provider_id);

CREATE TABLE IF NOT EXISTS auth.saml_relay_states (
	id              uuid NOT NULL,
	sso_provider_id uuid NOT NULL,
	request_id      text NOT NULL,
	for_email       text,
	redirect_to     text,
	created_at      timestamptz,
	updated_at      timestamptz,
	flow_state_id   uuid,
	CONSTRAINT saml_relay_states_pkey PRIMARY KEY (id),
	CONSTRAINT "request_id not empty" CHECK (char_length(request_id) > 0),
	CONSTRAINT saml_relay_states_flow_state_id_fkey FOREIGN KEY (flow_state_id) REFERENCES auth.flow_state (id) ON DELETE CASCADE,
	CONSTRAINT saml_relay_states_sso_provider_id_fkey FOREIGN KEY (sso_provider_id) REFERENCES auth.sso_providers (id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS saml_relay_states_created_at_idx ON auth.saml_relay_states (created_at DESC);
CREATE INDEX IF NOT EXISTS saml_relay_states_for_email_idx ON auth.saml_relay_states (for_email);
CREATE INDEX IF NOT EXISTS saml_relay_states_sso_provider_id_idx ON auth.saml_relay_states (sso_provider_id);

CREATE TABLE IF NOT EXISTS auth.custom_oauth_providers (
	id                      uuid DEFAULT gen_random_uuid() NOT NULL,
	provider_type           text NOT NULL,
	identifier              text NOT NULL,
	name                    text NOT NULL,
	client_id               text NOT NULL,
	client_secret           text NOT NULL,
	acceptable_client_ids   text[] DEFAULT '{}' NOT NULL,
	scopes                  text[] DEFAULT '{}' NOT NULL,
	pkce_enabled            boolean DEFAULT true NOT NULL,
	attribute_mapping       jsonb DEFAULT '{}' NOT NULL,
	authorization_params    jsonb DEFAULT '{}' NOT NULL,
	enabled                 boolean DEFAULT true NOT NULL,
	email_optional          boolean DEFAULT false NOT NULL,
	issuer                  text,
	discovery_url           text,
	skip_nonce_check        boolean DEFAULT false NOT NULL,
	cached_discovery        jsonb,
	discovery_cached_at     timestamptz,
	authorization_url       text,
	token_url               text,
	userinfo_url            text,
	jwks_uri                text,
	created_at              timestamptz DEFAULT now() NOT NULL,
	updated_at              timestamptz DEFAULT now() NOT NULL,
	custom_claims_allowlist text[] DEFAULT '{}' NOT NULL,
	CONSTRAINT custom_oauth_providers_pkey PRIMARY KEY (id),
	CONSTRAINT custom_oauth_providers_identifier_key UNIQUE (identifier),
	CONSTRAINT custom_oauth_providers_provider_type_check CHECK (provider_type IN ('oauth2', 'oidc')),
	CONSTRAINT custom_oauth_providers_identifier_format CHECK (identifier ~ '^[a-z0-9][a-z0-9:-]{0,48}[a-z0-9]$'),
	CONSTRAINT custom_oauth_providers_name_length CHECK (char_length(name) >= 1 AND char_length(name) <= 100),
	CONSTRAINT custom_oauth_providers_client_id_length CHECK (char_length(client_id) >= 1 AND char_length(client_id) <= 512),
	CONSTRAINT custom_oauth_providers_issuer_length CHECK (issuer IS NULL OR (char_length(issuer) >= 1 AND char_length(issuer) <= 2048)),
	CONSTRAINT custom_oauth_providers_authorization_url_https CHECK (authorization_url IS NULL OR authorization_url LIKE 'https://%'),
	CONSTRAINT custom_oauth_providers_authorization_url_length CHECK (authorization_url IS NULL OR char_length(authorization_url) <= 2048),
	CONSTRAINT custom_oauth_providers_discovery_url_length CHECK (discovery_url IS NULL OR char_length(discovery_url) <= 2048),
	CONSTRAINT custom_oauth_providers_jwks_uri_https CHECK (jwks_uri IS NULL OR jwks_uri LIKE 'https://%'),
	CONSTRAINT custom_oauth_providers_jwks_uri_length CHECK (jwks_uri IS NULL OR char_length(jwks_uri) <= 2048),
	CONSTRAINT custom_oauth_providers_token_url_https CHECK (token_url IS NULL OR token_url LIKE 'https://%'),
	CONSTRAINT custom_oauth_providers_token_url_length CHECK (token_url IS NULL OR char_length(token_url) <= 2048),
	CONSTRAINT custom_oauth_providers_userinfo_url_https CHECK (userinfo_url IS NULL OR userinfo_url LIKE 'https://%'),
	CONSTRAINT custom_oauth_providers_userinfo_url_length CHECK (userinfo_url IS NULL OR char_length(userinfo_url) <= 2048),
	CONSTRAINT custom_oauth_providers_oauth2_requires_endpoints
		CHECK (provider_type <> 'oauth2' OR (authorization_url IS NOT NULL AND token_url IS NOT NULL AND userinfo_url IS NOT NULL)),
	CONSTRAINT custom_oauth_providers_oidc_discovery_url_https
		CHECK (provider_type <> 'oidc' OR discovery_url IS NULL OR discovery_url LIKE 'https://%'),
	CONSTRAINT custom_oauth_providers_oidc_issuer_https
		CHECK (provider_type <> 'oidc' OR issuer IS NULL OR issuer LIKE 'https://%'),
	CONSTRAINT custom_oauth_providers_oidc_requires_issuer CHECK (provider_type <> 'oidc' OR issuer IS NOT NULL)
);
CREATE INDEX IF NOT EXISTS custom_oauth_providers_created_at_idx ON auth.custom_oauth_providers (created_at);
CREATE INDEX IF NOT EXISTS custom_oauth_providers_enabled_idx ON auth.custom_oauth_providers (enabled);
CREATE INDEX IF NOT EXISTS custom_oauth_providers_identifier_idx ON auth.custom_oauth_providers (identifier);
CREATE INDEX IF NOT EXISTS custom_oauth_providers_provider_type_idx ON auth.custom_oauth_providers (provider_type);
