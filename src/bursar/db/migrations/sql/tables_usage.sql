-- One row per attempt and revision. started_at is the timestamp inside request_id (UUIDv7), checked, so the
-- key below, unique inside a month, is unique for ever. No foreign keys: a fact is booked even when what it
-- names is gone. Two indexes only: every row is inserted once and stamped once.
CREATE TABLE usage (
    request_id uuid NOT NULL,
    organisation_id uuid NOT NULL,
    wallet_id uuid NOT NULL,
    api_key_id uuid NOT NULL,
    lease_id uuid,
    provider_id uuid,
    credential_id uuid,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    posting bigint,
    cost bigint NOT NULL,
    sale bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    latency_ms integer NOT NULL,
    first_byte_ms integer,
    attempt smallint NOT NULL,
    revision smallint NOT NULL,
    status smallint NOT NULL,
    streamed boolean NOT NULL,
    estimated boolean NOT NULL,
    from_mark boolean NOT NULL,
    late boolean NOT NULL,
    asset text NOT NULL,
    scope_class text NOT NULL,
    model text NOT NULL,
    provider_model text NOT NULL,
    endpoint text NOT NULL,
    dialect text NOT NULL,
    outcome text NOT NULL,
    error_code text,
    service_tier text,
    provider_request_id text,
    end_user text,
    content_hash text NOT NULL,
    flags text[] NOT NULL,
    quantities jsonb NOT NULL,
    price_ids jsonb NOT NULL,
    raw_usage text,
    CONSTRAINT usage_key UNIQUE (organisation_id, started_at, request_id, attempt, revision),
    CONSTRAINT usage_started_at_is_of_id CHECK (left(replace(request_id::text, '-', ''), 12)
        = lpad(to_hex((extract(epoch FROM started_at) * 1000)::bigint), 12, '0')),
    -- About a million major units: more is a mistake, and must not overflow the sums of a lease or a wallet.
    CONSTRAINT usage_amounts_are_sane CHECK (abs(sale) <= 1000000000000000 AND abs(cost) <= 1000000000000000),
    CONSTRAINT usage_sale_sign CHECK (revision > 0 OR (sale >= 0 AND cost >= 0))
) PARTITION BY RANGE (started_at);
CREATE INDEX usage_unposted_idx ON usage (wallet_id, started_at) WHERE posting IS NULL;

-- The number of a posting run: usage.posting. One ledger transaction per run and wallet, source 'run:wallet'.
CREATE SEQUENCE posting_run;

-- Progress of a running stream: the usage row that would be booked if its process died now.
CREATE TABLE usage_mark (
    request_id uuid NOT NULL,
    attempt smallint NOT NULL,
    process_id uuid NOT NULL,
    content_hash text NOT NULL,
    row text NOT NULL,
    marked_at timestamptz NOT NULL,
    PRIMARY KEY (request_id, attempt)
) WITH (fillfactor = 50);
CREATE INDEX usage_mark_process_id_idx ON usage_mark (process_id);

-- Rows that could not be booked. Never emptied by a program: an operator resolves them.
CREATE TABLE usage_quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    content_hash text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    process_id uuid NOT NULL,
    request_id text,
    row text NOT NULL,
    received_at timestamptz NOT NULL,
    alarmed_at timestamptz,
    resolved_at timestamptz,
    resolution text,
    CONSTRAINT usage_quarantine_content_hash_key UNIQUE (content_hash)
);

-- Totals of a month whose partition was dropped; the invariants add them.
CREATE TABLE usage_month (
    month date NOT NULL,
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    asset text NOT NULL,
    rows bigint NOT NULL,
    sale bigint NOT NULL,
    cost bigint NOT NULL,
    PRIMARY KEY (month, organisation_id, asset)
);
