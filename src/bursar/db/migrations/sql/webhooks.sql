-- Outgoing webhooks: where an organisation wants its events, what was sent there, and what was answered.

-- event_types: NULL means all. A paused or disabled one gets no new deliveries; what waits stays until it is active.
-- failing_since: when the first of the failures came that no success followed.
CREATE TABLE webhook_endpoint (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    url text NOT NULL CHECK (length(url) <= 2000),
    description text NOT NULL DEFAULT '',
    event_types text[] CHECK (cardinality(event_types) BETWEEN 1 AND 100),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'disabled')),
    disabled_reason text CHECK (disabled_reason IN ('failing', 'gone')),
    failing_since timestamptz,
    created_at timestamptz NOT NULL,
    CONSTRAINT webhook_endpoint_organisation_key UNIQUE (organisation_id, id),
    CONSTRAINT webhook_endpoint_disabled_check CHECK ((status = 'disabled') = (disabled_reason IS NOT NULL))
);

-- sealed: AES-256-GCM, see bursar.db.secrets; opened by the worker alone. expires_at NULL: the one in force; the one
-- before it signs too until it expires. The composite keys below make it impossible to name another tenant's row.
CREATE TABLE webhook_secret (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    CONSTRAINT webhook_secret_endpoint_fkey FOREIGN KEY (organisation_id, endpoint_id)
        REFERENCES webhook_endpoint (organisation_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX webhook_secret_in_force_key ON webhook_secret (organisation_id, endpoint_id)
    WHERE expires_at IS NULL;
CREATE INDEX webhook_secret_endpoint_idx ON webhook_secret (organisation_id, endpoint_id, created_at);

-- body: the very bytes that are signed and sent, to each endpoint and at each try.
CREATE TABLE webhook_message (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    type text NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT webhook_message_organisation_key UNIQUE (organisation_id, id)
);
CREATE INDEX webhook_message_created_at_idx ON webhook_message (created_at);

-- due_at: when it is to be tried; while a worker has it, when another worker may. tries: since it was last asked for
-- (the schedule begins anew with a replay). attempts: all of them.
CREATE TABLE webhook_delivery (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    message_id uuid NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed')),
    tries integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= tries),
    due_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT webhook_delivery_key UNIQUE (endpoint_id, message_id),
    CONSTRAINT webhook_delivery_organisation_key UNIQUE (organisation_id, id),
    CONSTRAINT webhook_delivery_ended_check CHECK ((status = 'pending') = (ended_at IS NULL)),
    CONSTRAINT webhook_delivery_endpoint_fkey FOREIGN KEY (organisation_id, endpoint_id)
        REFERENCES webhook_endpoint (organisation_id, id) ON DELETE CASCADE,
    CONSTRAINT webhook_delivery_message_fkey FOREIGN KEY (organisation_id, message_id)
        REFERENCES webhook_message (organisation_id, id) ON DELETE CASCADE
);
-- The worker asks which endpoints have something waiting, then each of them for what is due.
CREATE INDEX webhook_delivery_due_idx ON webhook_delivery (endpoint_id, due_at) WHERE status = 'pending';
CREATE INDEX webhook_delivery_endpoint_idx ON webhook_delivery (organisation_id, endpoint_id, id);
CREATE INDEX webhook_delivery_message_idx ON webhook_delivery (organisation_id, message_id);

-- status: of the answer; NULL when none came, and error says why. answer: how its body began.
CREATE TABLE webhook_attempt (
    delivery_id uuid NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    organisation_id uuid NOT NULL,
    at timestamptz NOT NULL,
    duration_ms integer NOT NULL CHECK (duration_ms >= 0),
    status integer,
    error text,
    answer text NOT NULL DEFAULT '' CHECK (length(answer) <= 500),
    PRIMARY KEY (delivery_id, number),
    CONSTRAINT webhook_attempt_delivery_fkey FOREIGN KEY (organisation_id, delivery_id)
        REFERENCES webhook_delivery (organisation_id, id) ON DELETE CASCADE
);
CREATE INDEX webhook_attempt_delivery_idx ON webhook_attempt (organisation_id, delivery_id);

SELECT bursar_make_tenant('webhook_endpoint'), bursar_make_tenant('webhook_secret'),
    bursar_make_tenant('webhook_message'), bursar_make_tenant('webhook_delivery'),
    bursar_make_tenant('webhook_attempt');

GRANT SELECT, INSERT, DELETE, UPDATE (url, description, event_types, status, disabled_reason, failing_since)
    ON webhook_endpoint TO bursar_api;
GRANT SELECT (id, organisation_id, endpoint_id, created_at, expires_at), INSERT, UPDATE (expires_at)
    ON webhook_secret TO bursar_api;
GRANT SELECT, UPDATE (status, tries, due_at, ended_at) ON webhook_delivery TO bursar_api;
GRANT SELECT ON webhook_message, webhook_attempt TO bursar_api;

GRANT SELECT, UPDATE (status, disabled_reason, failing_since) ON webhook_endpoint TO bursar_worker;
GRANT SELECT, DELETE ON webhook_secret TO bursar_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_message, webhook_delivery, webhook_attempt TO bursar_worker;

-- Deliveries and attempts are a log of their own.
SELECT bursar_audit('webhook_endpoint', ignored_columns => '{failing_since}'), bursar_audit('webhook_secret');
