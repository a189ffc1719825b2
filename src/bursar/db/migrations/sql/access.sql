-- Who may see and do what. Row-level security is forced, the owner included. A customer's session names its
-- organisation in 'bursar.organisation'; unset or empty sees nothing, and is no error.

DO $policies$
DECLARE
    tenant_table text;
    tenant_column text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['organisation', 'membership', 'api_key', 'ledger_account',
        'ledger_transaction', 'ledger_entry', 'wallet', 'credit_lot', 'lot_consumption', 'hold', 'budget',
        'budget_slice', 'usage', 'usage_month', 'outbox']
    LOOP
        tenant_column := CASE tenant_table WHEN 'organisation' THEN 'id' ELSE 'organisation_id' END;
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I TO bursar_api USING '
            '(%I = (SELECT nullif(current_setting(''bursar.organisation'', true), '''')::uuid))',
            tenant_table, tenant_column);
        EXECUTE format('CREATE POLICY all_tenants ON %I TO bursar_owner, bursar_operator, bursar_worker '
            'USING (true) WITH CHECK (true)', tenant_table);
        EXECUTE format('CREATE POLICY read_all ON %I FOR SELECT TO bursar_gateway USING (true)', tenant_table);
    END LOOP;
END
$policies$;

-- A customer sees the entries on his own accounts, not what his requests cost or earned the operator.
CREATE POLICY own_accounts ON ledger_entry AS RESTRICTIVE FOR SELECT TO bursar_api
    USING (account_id IN (SELECT id FROM ledger_account));

-- Read. Money, usage and leases are written by functions only, so nobody below gets a write grant on them.
GRANT SELECT ON organisation, membership, api_key, ledger_account, ledger_transaction, ledger_entry, wallet,
    credit_lot, lot_consumption, hold, budget, budget_slice, usage, usage_month
    TO bursar_api, bursar_operator, bursar_worker;
GRANT SELECT ON provider, model, model_alias, route, price, setting, process, operator_token, app_user, outbox
    TO bursar_api, bursar_operator, bursar_worker;
GRANT SELECT ON usage_mark, usage_quarantine TO bursar_operator, bursar_worker;
-- Sealed credentials are for the gateway alone; operators see that they exist.
GRANT SELECT (id, provider_id, hint, active, priority, created_at) ON provider_credential
    TO bursar_operator, bursar_worker;
GRANT SELECT ON organisation, wallet, api_key, provider, provider_credential, model, model_alias, route, price,
    setting, usage, hold TO bursar_gateway;

-- Write. A customer manages his own keys, members and budgets; the operator manages the rest.
GRANT INSERT, UPDATE ON organisation, api_key, budget TO bursar_api, bursar_operator;
GRANT INSERT, UPDATE, DELETE ON membership TO bursar_api, bursar_operator;
GRANT INSERT, UPDATE ON app_user, operator_token TO bursar_api, bursar_operator;
GRANT INSERT ON outbox TO bursar_api;
GRANT INSERT, UPDATE, DELETE ON provider, provider_credential, model, model_alias, route, setting
    TO bursar_operator, bursar_worker;
GRANT INSERT ON price TO bursar_operator, bursar_worker;
GRANT INSERT ON wallet TO bursar_operator, bursar_worker;
GRANT INSERT, UPDATE ON outbox TO bursar_operator, bursar_worker;
GRANT DELETE ON outbox TO bursar_worker;
GRANT UPDATE (alarmed_at, resolved_at, resolution) ON usage_quarantine TO bursar_operator, bursar_worker;
