-- Operators are bound to addresses, support views as a customer, and no role may more than it must.

-- Networks in CIDR notation that an operator must be in, besides those of the setting; NULL or none: anywhere.
ALTER TABLE app_user ADD COLUMN operator_addresses text[];
ALTER TABLE operator_token ADD COLUMN allowed_addresses text[];

-- That support saw what an organisation sees: who, why, how long. The session of the same time is bound by
-- session.viewing_*; it ends by itself, or earlier at ended_at.
CREATE TABLE viewing (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    user_id uuid NOT NULL REFERENCES app_user (id),
    session_id uuid NOT NULL,
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    started_at timestamptz NOT NULL,
    until timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT viewing_is_short CHECK (until > started_at AND until <= started_at + interval '60 minutes')
);
CREATE INDEX viewing_organisation_id_idx ON viewing (organisation_id, id);
CREATE INDEX viewing_user_id_idx ON viewing (user_id) WHERE ended_at IS NULL;

SELECT bursar_make_tenant('viewing');
GRANT SELECT ON viewing TO bursar_api, bursar_operator, bursar_worker, bursar_accounts;
GRANT INSERT, UPDATE (ended_at) ON viewing TO bursar_accounts;
SELECT bursar_audit('viewing');

-- A role reads every column of a table but these.
CREATE PROCEDURE bursar_hide(one regclass, hidden text[], readers text[]) LANGUAGE plpgsql AS $$
DECLARE
    reader text;
    shown text;
BEGIN
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO shown FROM pg_attribute
    WHERE attrelid = one AND attnum > 0 AND NOT attisdropped AND attname <> ALL (hidden);
    FOREACH reader IN ARRAY readers LOOP
        EXECUTE format('REVOKE SELECT ON %s FROM %I', one, reader);
        EXECUTE format('GRANT SELECT (%s) ON %s TO %I', shown, one, reader);
    END LOOP;
END $$;

-- What opens the control plane is read by whom it opens it to.
CALL bursar_hide('app_user', '{password_hash,totp_sealed}', '{bursar_operator,bursar_worker}');
CALL bursar_hide('session', '{family_hash,refresh_hash,previous_hash,csrf_hash}', '{bursar_worker}');
CALL bursar_hide('sign_up', '{password_hash}', '{bursar_worker}');
CALL bursar_hide('operator_token', '{token_hash}', '{bursar_operator}');
-- What a customer's requests cost the operator is not the customer's to see.
CALL bursar_hide('usage', '{cost}', '{bursar_api}');
CALL bursar_hide('usage_month', '{cost}', '{bursar_api}');
-- A gateway knows its customers by their ids.
CALL bursar_hide('organisation', '{name,billing_email}', '{bursar_gateway}');
DROP PROCEDURE bursar_hide;

-- Customers' sessions change what members may change, and move nothing to another organisation.
REVOKE SELECT ON setting, process FROM bursar_api;
REVOKE UPDATE ON api_key, budget, membership FROM bursar_api;
GRANT UPDATE (name, active, expires_at, revoked_at, allowed_models, allowed_addresses, limits, project_id)
    ON api_key TO bursar_api;
GRANT UPDATE (name, amount, active) ON budget TO bursar_api;
GRANT UPDATE (role) ON membership TO bursar_api;
-- What limits an organisation, operators say.
REVOKE UPDATE (limits) ON organisation FROM bursar_api;
-- Operators give people roles and stop them; who somebody is, they do not change.
REVOKE INSERT, UPDATE ON app_user FROM bursar_operator;
GRANT UPDATE (operator_role, operator_addresses, status) ON app_user TO bursar_operator;
REVOKE UPDATE ON operator_token FROM bursar_operator;
GRANT UPDATE (revoked_at) ON operator_token TO bursar_operator;
-- Accounts open wallets, and only empty ones of who pays before.
ALTER POLICY accounts ON wallet
    WITH CHECK (posted = 0 AND held = 0 AND owed = 0 AND overrun = 0 AND credit_limit = 0);
-- The worker decides nothing about what is sold, and by whom it is run.
REVOKE INSERT, UPDATE, DELETE ON provider, provider_credential, model, model_alias, route, setting FROM bursar_worker;
REVOKE INSERT ON price, wallet FROM bursar_worker;
REVOKE SELECT ON operator_token FROM bursar_worker;
