-- Who belongs to an organisation, and who is asked to. An organisation has no members or exactly one owner.

-- At most one. A transfer takes the role away before it gives it.
CREATE UNIQUE INDEX membership_one_owner ON membership (organisation_id) WHERE role = 'owner';

-- At least one where there is anybody, looked at when the transaction ends. The organisation's row is locked first,
-- so that of two that together would leave it without, the second sees what the first did.
-- SECURITY DEFINER: under row-level security an invoker's trigger would see only some of the members.
CREATE FUNCTION bursar_check_owner() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    one uuid;
BEGIN
    FOR one IN SELECT DISTINCT touched FROM unnest(ARRAY[old.organisation_id, new.organisation_id]) AS touched
        WHERE touched IS NOT NULL ORDER BY touched
    LOOP
        PERFORM 1 FROM organisation WHERE id = one FOR NO KEY UPDATE;
        IF EXISTS (SELECT 1 FROM membership WHERE organisation_id = one)
            AND NOT EXISTS (SELECT 1 FROM membership WHERE organisation_id = one AND role = 'owner')
        THEN
            RAISE EXCEPTION 'organisation % would have members and no owner', one
                USING ERRCODE = 'check_violation', CONSTRAINT = 'membership_has_owner', TABLE = 'membership';
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION bursar_check_owner FROM public;

CREATE CONSTRAINT TRIGGER has_owner AFTER INSERT OR UPDATE OR DELETE ON membership
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION bursar_check_owner();

-- token_hash: SHA-256 of what the mail's link ends in; sending again makes a new one. sent_count: mails asked for.
-- Who gave it, and must be able to when it is accepted: a member, an operator or his token; none: the command line.
CREATE TABLE invitation (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    email text NOT NULL CONSTRAINT invitation_email_lower CHECK (email = lower(email)),
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'billing', 'developer', 'viewer')),
    token_hash bytea NOT NULL CHECK (octet_length(token_hash) = 32),
    invited_by uuid REFERENCES app_user (id),
    operator_id uuid REFERENCES app_user (id),
    operator_token_id uuid REFERENCES operator_token (id),
    created_at timestamptz NOT NULL,
    sent_at timestamptz NOT NULL,
    sent_count integer NOT NULL DEFAULT 1 CHECK (sent_count > 0),
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    accepted_by uuid REFERENCES app_user (id),
    revoked_at timestamptz,
    CONSTRAINT invitation_token_hash_key UNIQUE (token_hash),
    CONSTRAINT invitation_one_giver CHECK (num_nonnulls(invited_by, operator_id, operator_token_id) <= 1),
    CONSTRAINT invitation_one_end CHECK (accepted_at IS NULL OR revoked_at IS NULL),
    CONSTRAINT invitation_accepted_by CHECK ((accepted_at IS NULL) = (accepted_by IS NULL))
);
-- One address is asked once at a time.
CREATE UNIQUE INDEX invitation_open_key ON invitation (organisation_id, email)
    WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX invitation_organisation_id_idx ON invitation (organisation_id, sent_at);
CREATE INDEX invitation_invited_by_idx ON invitation (invited_by) WHERE invited_by IS NOT NULL;
CREATE INDEX invitation_operator_id_idx ON invitation (operator_id) WHERE operator_id IS NOT NULL;
CREATE INDEX invitation_operator_token_id_idx ON invitation (operator_token_id) WHERE operator_token_id IS NOT NULL;
CREATE INDEX invitation_accepted_by_idx ON invitation (accepted_by) WHERE accepted_by IS NOT NULL;

-- Accepted or withdrawn is for good; only whom it named may be forgotten.
CREATE FUNCTION bursar_keep_invitation_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (old.accepted_at IS NOT NULL OR old.revoked_at IS NOT NULL)
        AND (to_jsonb(new) - 'email') IS DISTINCT FROM (to_jsonb(old) - 'email')
    THEN
        RAISE EXCEPTION 'invitation % has ended', old.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'invitation_ended', TABLE = 'invitation';
    END IF;
    RETURN new;
END $$;

CREATE TRIGGER ended BEFORE UPDATE ON invitation
    FOR EACH ROW EXECUTE FUNCTION bursar_keep_invitation_ended();

SELECT bursar_make_tenant('invitation');
GRANT SELECT (id, organisation_id, email, role, invited_by, created_at, sent_at, sent_count, expires_at, accepted_at,
    accepted_by, revoked_at), INSERT,
    UPDATE (token_hash, role, invited_by, operator_id, operator_token_id, sent_at, sent_count, expires_at, revoked_at)
    ON invitation
    TO bursar_api, bursar_operator;
GRANT SELECT, UPDATE (accepted_at, accepted_by) ON invitation TO bursar_accounts;
GRANT SELECT (id, organisation_id, email, role, invited_by, created_at, sent_at, sent_count, expires_at, accepted_at,
    accepted_by, revoked_at) ON invitation TO bursar_worker;

-- Nobody becomes a member or opens an organisation as a customer's session: accepting and founding are of accounts.
REVOKE INSERT ON membership FROM bursar_api;
REVOKE INSERT, UPDATE ON organisation FROM bursar_api;
GRANT UPDATE (name, billing_email, store_responses, limits, own_keys_fall_back, allowed_providers, allowed_regions)
    ON organisation TO bursar_api;
GRANT DELETE ON idempotent_answer TO bursar_accounts;
