-- Answers already given, so that a repeated request is done once: see bursar.rest.idempotency.
-- caller: the operator token. answer: sealed, because it may show a secret; null only while its transaction runs.
CREATE TABLE idempotent_answer (
    caller uuid NOT NULL,
    key text NOT NULL CHECK (length(key) <= 128),
    content_hash text NOT NULL,
    answer bytea,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotent_answer_created_at_idx ON idempotent_answer (created_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotent_answer TO bursar_api, bursar_operator;
