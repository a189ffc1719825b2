-- What is configured: customers, keys, providers, models, prices. Times and ids are given by the caller:
-- no column defaults to the clock.

CREATE TABLE organisation (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    billing_email text,
    billing_type text NOT NULL DEFAULT 'prepaid' CHECK (billing_type IN ('prepaid', 'postpaid')),
    currency text NOT NULL DEFAULT 'USD',
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'closed')),
    outcome_policy jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL
);

CREATE TABLE app_user (
    id uuid PRIMARY KEY,
    email text NOT NULL,
    name text NOT NULL DEFAULT '',
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
    created_at timestamptz NOT NULL,
    CONSTRAINT app_user_email_key UNIQUE (email),
    CONSTRAINT app_user_email_lower CHECK (email = lower(email))
);

CREATE TABLE membership (
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    user_id uuid NOT NULL REFERENCES app_user (id),
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'billing', 'member', 'viewer')),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, user_id)
);
CREATE INDEX membership_user_id_idx ON membership (user_id);

-- key_hash: SHA-256 of the whole key. key_prefix: its first 13 characters, the only part ever shown again.
CREATE TABLE api_key (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    name text NOT NULL,
    key_hash bytea NOT NULL CHECK (octet_length(key_hash) = 32),
    key_prefix text NOT NULL CHECK (length(key_prefix) <= 13),
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL,
    created_by uuid,
    expires_at timestamptz,
    revoked_at timestamptz,
    allowed_models text[],
    limits jsonb NOT NULL DEFAULT '{"requests_per_min": 60}',
    rotated_from uuid REFERENCES api_key (id),
    CONSTRAINT api_key_key_hash_key UNIQUE (key_hash)
);
CREATE INDEX api_key_organisation_id_idx ON api_key (organisation_id, created_at);

CREATE TABLE operator_token (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    token_hash bytea NOT NULL CHECK (octet_length(token_hash) = 32),
    token_prefix text NOT NULL CHECK (length(token_prefix) <= 13),
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT operator_token_token_hash_key UNIQUE (token_hash)
);

-- aborts_stop_billing: closing the connection stops the provider's meter; otherwise a hang-up is drained.
CREATE TABLE provider (
    id uuid PRIMARY KEY,
    slug text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL CHECK (kind IN (
        'openai', 'anthropic', 'gemini', 'xai', 'mistral', 'deepseek', 'zhipu', 'zai', 'openrouter',
        'azure_openai', 'groq', 'together', 'ollama', 'vllm', 'openai_compatible')),
    base_url text NOT NULL,
    active boolean NOT NULL DEFAULT true,
    aborts_stop_billing boolean NOT NULL DEFAULT true,
    timeouts jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    CONSTRAINT provider_slug_key UNIQUE (slug)
);

-- sealed: AES-256-GCM, see bursar.db.secrets. hint: the last four characters, for people.
CREATE TABLE provider_credential (
    id uuid PRIMARY KEY,
    provider_id uuid NOT NULL REFERENCES provider (id),
    sealed bytea NOT NULL,
    hint text NOT NULL DEFAULT '',
    active boolean NOT NULL DEFAULT true,
    priority integer NOT NULL DEFAULT 100,
    created_at timestamptz NOT NULL
);
CREATE INDEX provider_credential_provider_id_idx ON provider_credential (provider_id);

-- margin_percent overrides setting 'default_margin_percent' when prices are imported.
CREATE TABLE model (
    id text PRIMARY KEY,
    display_name text NOT NULL,
    context_window integer CHECK (context_window > 0),
    output_tokens_max integer CHECK (output_tokens_max > 0),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'retired')),
    successor text,
    capabilities jsonb NOT NULL DEFAULT '{}',
    margin_percent numeric(9, 4) CHECK (margin_percent > -100),
    created_at timestamptz NOT NULL
);

CREATE TABLE model_alias (
    alias text PRIMARY KEY,
    model_id text NOT NULL REFERENCES model (id)
);
CREATE INDEX model_alias_model_id_idx ON model_alias (model_id);

CREATE TABLE route (
    id uuid PRIMARY KEY,
    model_id text NOT NULL REFERENCES model (id),
    provider_id uuid NOT NULL REFERENCES provider (id),
    provider_model text NOT NULL,
    priority integer NOT NULL DEFAULT 100,
    weight integer NOT NULL DEFAULT 1 CHECK (weight > 0),
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL,
    CONSTRAINT route_model_provider_key UNIQUE (model_id, provider_id, provider_model)
);
CREATE INDEX route_provider_id_idx ON route (provider_id);

-- Major units of `currency` per ONE unit of `meter`. In force at t: the newest effective_from not after t.
-- tier_from: total input tokens of the request from which this price applies.
CREATE TABLE price (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider_id uuid NOT NULL REFERENCES provider (id),
    model text NOT NULL,
    meter text NOT NULL,
    currency text NOT NULL,
    tier_from bigint NOT NULL DEFAULT 0 CHECK (tier_from >= 0),
    effective_from timestamptz NOT NULL,
    cost numeric(38, 18) NOT NULL CHECK (cost >= 0),
    sale numeric(38, 18) NOT NULL CHECK (sale >= 0),
    source text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT price_in_force_key UNIQUE (provider_id, model, meter, currency, tier_from, effective_from)
);

CREATE TABLE setting (
    key text PRIMARY KEY,
    value jsonb NOT NULL
);

-- Written in the transaction of the change it announces; a handler may see an event twice.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    organisation_id uuid,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    handled_at timestamptz,
    parked_at timestamptz
);
CREATE INDEX outbox_due_idx ON outbox (due_at, id) WHERE handled_at IS NULL AND parked_at IS NULL;
CREATE INDEX outbox_handled_idx ON outbox (handled_at) WHERE handled_at IS NOT NULL;
