-- Mail: what was sent, and what is to be. One row per intent, however often the mail was asked for.

-- intent: what the mail is about, in a text no other mail has. sealed: the values of the template, encrypted, until
-- the mail is sent; nothing keeps what a mail said. claim: the try under way, which others leave alone until
-- claimed_until. message_id: the same at every try. said: the server's last words, without links and addresses.
--   waiting  to be sent at due_at
--   sent     a server took it
--   dead     given up: refused for good, or refused for too long; an operator may have it tried again
--   skipped  the recipient does not want mails of this kind
CREATE TABLE mail (
    id uuid PRIMARY KEY,
    intent text NOT NULL CHECK (length(intent) <= 200),
    template text NOT NULL,
    locale text NOT NULL CHECK (locale IN ('en', 'ko', 'zh')),
    recipient text NOT NULL,
    message_id text NOT NULL,
    sealed bytea,
    state text NOT NULL CHECK (state IN ('waiting', 'sent', 'dead', 'skipped')),
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    claim uuid,
    claimed_until timestamptz,
    server text,
    said text,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT mail_intent_key UNIQUE (intent),
    CONSTRAINT mail_message_id_key UNIQUE (message_id),
    CONSTRAINT mail_ended CHECK ((state = 'waiting') = (ended_at IS NULL)),
    CONSTRAINT mail_forgotten CHECK ((state IN ('sent', 'skipped')) = (sealed IS NULL))
);
CREATE INDEX mail_due_idx ON mail (due_at, id) WHERE state = 'waiting';
CREATE INDEX mail_dead_idx ON mail (id) WHERE state = 'dead';
CREATE INDEX mail_ended_at_idx ON mail (ended_at) WHERE ended_at IS NOT NULL;

-- Addresses that do not want mails of a kind and belong to nobody with an account, whose profile would say so.
CREATE TABLE mail_refusal (
    recipient text NOT NULL,
    choice text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (recipient, choice)
);

-- Low balances that were told of: once until the next credit comes in, which is another lot.
CREATE TABLE balance_notice (
    lot_id uuid PRIMARY KEY REFERENCES credit_lot (id),
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    told_at timestamptz NOT NULL
);
CREATE INDEX balance_notice_organisation_id_idx ON balance_notice (organisation_id);
SELECT bursar_make_tenant('balance_notice');

GRANT SELECT, INSERT ON balance_notice TO bursar_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON mail TO bursar_worker;
GRANT SELECT (id, intent, template, locale, recipient, message_id, state, attempts, due_at, claimed_until, server, said,
    created_at, ended_at) ON mail TO bursar_operator;
GRANT UPDATE (state, attempts, due_at, ended_at) ON mail TO bursar_operator;
GRANT SELECT, INSERT ON mail_refusal TO bursar_worker;
GRANT UPDATE (notifications) ON app_user TO bursar_worker;
