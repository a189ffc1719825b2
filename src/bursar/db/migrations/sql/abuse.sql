-- Abuse: what is observed, who is suspected of what, and what was decided. docs/abuse-rules.md has the rules.
-- None of it is for customers: no role of theirs is granted anything here.

-- What an organisation used in an hour (UTC), by the start of the requests. sale: in units of its asset.
CREATE TABLE abuse_hour (
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    hour timestamptz NOT NULL,
    sale bigint NOT NULL,
    requests bigint NOT NULL,
    failures bigint NOT NULL,
    PRIMARY KEY (organisation_id, hour)
);
CREATE INDEX abuse_hour_hour_idx ON abuse_hour (hour);

-- Until when usage was added up. One row.
CREATE TABLE abuse_mark (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    seen_until timestamptz NOT NULL
);

-- Cards that organisations pay with. fingerprint: the payment provider's own name of a card, the same wherever it
-- is used; never its number.
CREATE TABLE card_fingerprint (
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    fingerprint text NOT NULL CHECK (length(fingerprint) BETWEEN 8 AND 200),
    first_seen_at timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, fingerprint)
);
CREATE INDEX card_fingerprint_fingerprint_idx ON card_fingerprint (fingerprint);
CREATE INDEX card_fingerprint_first_seen_at_idx ON card_fingerprint (first_seen_at);

-- findings: [{"rule", "value", "points", "organisations"}, …], the strongest of each rule since first_seen_at.
-- suspended: the organisation is, by the worker (decided_at NULL) or by an operator. cleared, closed: over.
CREATE TABLE abuse_suspect (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    status text NOT NULL CHECK (status IN ('open', 'suspended', 'cleared', 'closed')),
    score integer NOT NULL CHECK (score BETWEEN 0 AND 100),
    findings jsonb NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    suspended_at timestamptz,
    decided_at timestamptz,
    decided_by uuid,
    reason text
);
CREATE UNIQUE INDEX abuse_suspect_undecided_key ON abuse_suspect (organisation_id)
    WHERE status IN ('open', 'suspended');
CREATE INDEX abuse_suspect_organisation_id_idx ON abuse_suspect (organisation_id, decided_at);
CREATE INDEX abuse_suspect_status_idx ON abuse_suspect (status, id);

SELECT bursar_make_tenant('abuse_hour'), bursar_make_tenant('card_fingerprint'), bursar_make_tenant('abuse_suspect');

GRANT SELECT, INSERT, UPDATE, DELETE ON abuse_hour TO bursar_worker;
GRANT SELECT, INSERT, UPDATE ON abuse_mark TO bursar_worker;
GRANT SELECT ON card_fingerprint TO bursar_worker;
GRANT SELECT, INSERT, UPDATE ON abuse_suspect TO bursar_worker;
GRANT SELECT, UPDATE (status, suspended_at, decided_at, decided_by, reason) ON abuse_suspect TO bursar_operator;
-- Suspending is all the worker may do to an organisation.
GRANT UPDATE (status) ON organisation TO bursar_worker;

SELECT bursar_audit('abuse_suspect', ignored_columns => '{score,findings,last_seen_at}', is_internal => true),
    bursar_audit('card_fingerprint', secret_columns => '{fingerprint}', is_internal => true);
