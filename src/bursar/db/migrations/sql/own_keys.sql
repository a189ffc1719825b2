-- Organisations' own provider credentials, the fee for requests that run on them, and where requests may go.

-- own_keys_fall_back: a request that fails on the organisation's own credentials may be served, and priced,
-- with ours. allowed_providers, allowed_regions: nothing outside them is ever asked (NULL: anything is).
ALTER TABLE organisation ADD COLUMN own_keys_fall_back boolean NOT NULL DEFAULT false;
ALTER TABLE organisation ADD COLUMN allowed_providers uuid[] CHECK (cardinality(allowed_providers) BETWEEN 1 AND 100);
ALTER TABLE organisation ADD COLUMN allowed_regions text[] CHECK (cardinality(allowed_regions) BETWEEN 1 AND 100);

-- takes_own_keys: whoever runs it bills the key's owner. Never true of the operator's own machines: any key would
-- open them, and the request would be served for the fee.
ALTER TABLE provider ADD COLUMN takes_own_keys boolean NOT NULL DEFAULT false;

-- sealed: AES-256-GCM, see bursar.db.secrets. hint: the last four characters. An active one claims its
-- organisation's requests at this provider, even while nobody can open it.
CREATE TABLE own_credential (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    provider_id uuid NOT NULL REFERENCES provider (id),
    name text NOT NULL,
    sealed bytea NOT NULL,
    hint text NOT NULL,
    active boolean NOT NULL DEFAULT true,
    priority integer NOT NULL DEFAULT 100,
    created_at timestamptz NOT NULL,
    rotated_at timestamptz
);
CREATE INDEX own_credential_organisation_id_idx ON own_credential (organisation_id, provider_id);
CREATE INDEX own_credential_provider_id_idx ON own_credential (provider_id);

-- What a request on an own credential is sold for: percent of the provider's list cost and a fixed amount, in
-- major units of `currency`. In force at t: the organisation's newest effective_from not after t, else the newest
-- without an organisation. Usage rows name the one they were rated by, so rows are only added.
CREATE TABLE platform_fee (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organisation_id uuid REFERENCES organisation (id),
    currency text NOT NULL,
    percent numeric(9, 4) NOT NULL CHECK (percent BETWEEN 0 AND 1000),
    fixed numeric(38, 18) NOT NULL CHECK (fixed BETWEEN 0 AND 1000000),
    effective_from timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT platform_fee_in_force_key UNIQUE NULLS NOT DISTINCT (organisation_id, currency, effective_from)
);

-- The default until an operator says otherwise.
INSERT INTO platform_fee (currency, percent, fixed, effective_from, created_at)
SELECT currency, 5, 0, '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z'
FROM unnest(ARRAY['USD', 'EUR', 'CNY', 'KRW', 'JPY']) AS currency;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON platform_fee
    FOR EACH ROW EXECUTE FUNCTION bursar_refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON platform_fee EXECUTE FUNCTION bursar_refuse_change();
CREATE TRIGGER tell_changed AFTER INSERT OR UPDATE OR DELETE ON own_credential
    FOR EACH ROW EXECUTE FUNCTION bursar_tell_changed('id');
CREATE TRIGGER tell_changed AFTER INSERT ON platform_fee
    FOR EACH STATEMENT EXECUTE FUNCTION bursar_tell_table_changed();

-- An organisation sees its own credentials and fees, and the fees of everybody; never what is sealed.
ALTER TABLE own_credential ENABLE ROW LEVEL SECURITY;
ALTER TABLE own_credential FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON own_credential TO bursar_api
    USING (organisation_id = (SELECT nullif(current_setting('bursar.organisation', true), '')::uuid));
CREATE POLICY all_tenants ON own_credential TO bursar_owner, bursar_operator, bursar_worker
    USING (true) WITH CHECK (true);
CREATE POLICY read_all ON own_credential FOR SELECT TO bursar_gateway USING (true);

ALTER TABLE platform_fee ENABLE ROW LEVEL SECURITY;
ALTER TABLE platform_fee FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON platform_fee FOR SELECT TO bursar_api USING (organisation_id IS NULL
    OR organisation_id = (SELECT nullif(current_setting('bursar.organisation', true), '')::uuid));
CREATE POLICY all_tenants ON platform_fee TO bursar_owner, bursar_operator, bursar_worker
    USING (true) WITH CHECK (true);
CREATE POLICY read_all ON platform_fee FOR SELECT TO bursar_gateway USING (true);

GRANT SELECT (id, organisation_id, provider_id, name, hint, active, priority, created_at, rotated_at)
    ON own_credential TO bursar_api, bursar_operator, bursar_worker;
GRANT SELECT ON own_credential TO bursar_gateway;
GRANT INSERT, UPDATE, DELETE ON own_credential TO bursar_api, bursar_operator;
GRANT SELECT ON platform_fee TO bursar_api, bursar_operator, bursar_worker, bursar_gateway;
GRANT INSERT ON platform_fee TO bursar_operator;
