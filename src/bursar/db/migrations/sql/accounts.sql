-- Sign-ups that wait for their mail to be answered, one-time links, recovery codes of the second factor.

-- family_hash: SHA-256 of the part that all refresh tokens of one sign-in share. Who shows it with any other
-- ending than the newest holds a copy. previous_hash now only tells two tabs of one browser from a thief.
DELETE FROM session;
ALTER TABLE session ADD COLUMN family_hash bytea NOT NULL CHECK (octet_length(family_hash) = 32);
ALTER TABLE session ADD CONSTRAINT session_family_hash_key UNIQUE (family_hash);
DROP INDEX session_previous_hash_idx;

-- Nobody is a user before he answered the mail. token_hash: SHA-256 of what the mail said, null until it is
-- written. password_hash: argon2id, forgotten when it became the user's. user_id: whom it made.
CREATE TABLE sign_up (
    id uuid PRIMARY KEY,
    email text NOT NULL CHECK (email = lower(email)),
    password_hash text,
    name text NOT NULL,
    organisation_name text,
    locale text NOT NULL CHECK (locale IN ('en', 'ko', 'zh')),
    time_zone text NOT NULL,
    terms_version text NOT NULL,
    privacy_version text NOT NULL,
    address text NOT NULL DEFAULT '',
    token_hash bytea CHECK (octet_length(token_hash) = 32),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    user_id uuid REFERENCES app_user (id),
    CONSTRAINT sign_up_token_hash_key UNIQUE (token_hash)
);
CREATE INDEX sign_up_email_idx ON sign_up (email, created_at);
CREATE INDEX sign_up_address_idx ON sign_up (address, created_at);
CREATE INDEX sign_up_expires_at_idx ON sign_up (expires_at);

-- Links that prove a mail address. email: the new one, with change_email.
CREATE TABLE one_time_token (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES app_user (id),
    purpose text NOT NULL CHECK (purpose IN ('reset_password', 'change_email')),
    token_hash bytea NOT NULL CHECK (octet_length(token_hash) = 32),
    email text CHECK (email = lower(email)),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    CONSTRAINT one_time_token_token_hash_key UNIQUE (token_hash),
    CONSTRAINT one_time_token_email_check1 CHECK ((email IS NOT NULL) = (purpose = 'change_email'))
);
CREATE INDEX one_time_token_user_id_idx ON one_time_token (user_id, created_at);
CREATE INDEX one_time_token_expires_at_idx ON one_time_token (expires_at);

-- code_hash: SHA-256; codes are 80 random bits, so no slower hash is needed.
CREATE TABLE recovery_code (
    user_id uuid NOT NULL REFERENCES app_user (id),
    code_hash bytea NOT NULL CHECK (octet_length(code_hash) = 32),
    created_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (user_id, code_hash)
);

SELECT bursar_make_personal('sign_up');
SELECT bursar_make_personal('one_time_token');
SELECT bursar_make_personal('recovery_code');

GRANT SELECT, INSERT, UPDATE ON sign_up, one_time_token TO bursar_accounts;
GRANT SELECT, INSERT, UPDATE, DELETE ON recovery_code TO bursar_accounts;
-- The worker writes the mails, looks who has an account so that no answer tells it, and clears up.
GRANT SELECT, INSERT, UPDATE, DELETE ON sign_up, one_time_token TO bursar_worker;
-- A person sees how many recovery codes he has left.
GRANT SELECT (user_id, used_at) ON recovery_code TO bursar_api;
