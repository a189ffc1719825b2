-- Triggers: what the database refuses whoever asks, and what it tells the gateways.

CREATE FUNCTION bursar_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', tg_table_name, tg_op USING ERRCODE = 'BU001';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger_transaction
    FOR EACH ROW EXECUTE FUNCTION bursar_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger_entry
    FOR EACH ROW EXECUTE FUNCTION bursar_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON lot_consumption
    FOR EACH ROW EXECUTE FUNCTION bursar_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON price
    FOR EACH ROW EXECUTE FUNCTION bursar_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON usage_month
    FOR EACH ROW EXECUTE FUNCTION bursar_refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger_transaction EXECUTE FUNCTION bursar_refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger_entry EXECUTE FUNCTION bursar_refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON lot_consumption EXECUTE FUNCTION bursar_refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON price EXECUTE FUNCTION bursar_refuse_change();

-- SECURITY DEFINER: under row-level security an invoker's trigger would see only some of the entries.
CREATE FUNCTION bursar_check_zero_sum() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    unbalanced text;
BEGIN
    SELECT asset INTO unbalanced FROM ledger_entry
    WHERE transaction_id = new.transaction_id GROUP BY asset HAVING sum(amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transaction % does not sum to zero in %', new.transaction_id, unbalanced
            USING ERRCODE = 'BU002';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER zero_sum AFTER INSERT ON ledger_entry DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION bursar_check_zero_sum();

-- Payload 'table:id'. The trigger's argument names the column that identifies a row.
CREATE FUNCTION bursar_tell_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    subject jsonb := to_jsonb(CASE WHEN tg_op = 'DELETE' THEN old ELSE new END);
BEGIN
    PERFORM pg_notify('bursar_changed', tg_table_name || ':' || (subject ->> tg_argv[0]));
    RETURN NULL;
END $$;

-- Imports write thousands of prices at once: one notice for all of them.
CREATE FUNCTION bursar_tell_table_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('bursar_changed', tg_table_name || ':*');
    RETURN NULL;
END $$;

CREATE TRIGGER tell_changed AFTER INSERT OR UPDATE OR DELETE ON organisation
    FOR EACH ROW EXECUTE FUNCTION bursar_tell_changed('id');
CREATE TRIGGER tell_changed AFTER INSERT OR UPDATE OR DELETE ON api_key
    FOR EACH ROW EXECUTE FUNCTION bursar_tell_changed('id');
CREATE TRIGGER tell_changed AFTER INSERT OR UPDATE OR DELETE ON provider
    FOR EACH ROW EXECUTE FUNCTION bursar_tell_changed('id');
CREATE TRIGGER tell_changed AFTER INSERT OR UPDATE OR DELETE ON provider_credential
    FOR EACH ROW EXECUTE FUNCTION bursar_tell_changed('id');
CREATE TRIGGER tell_changed AFTER INSERT OR UPDATE OR DELETE ON model
    FOR EACH ROW EXECUTE FUNCTION bursar_tell_changed('id');
CREATE TRIGGER tell_changed AFTER INSERT OR UPDATE OR DELETE ON model_alias
    FOR EACH ROW EXECUTE FUNCTION bursar_tell_changed('alias');
CREATE TRIGGER tell_changed AFTER INSERT OR UPDATE OR DELETE ON route
    FOR EACH ROW EXECUTE FUNCTION bursar_tell_changed('id');
CREATE TRIGGER tell_changed AFTER INSERT OR UPDATE OR DELETE ON setting
    FOR EACH ROW EXECUTE FUNCTION bursar_tell_changed('key');
CREATE TRIGGER tell_changed AFTER INSERT OR UPDATE OF credit_limit ON wallet
    FOR EACH ROW EXECUTE FUNCTION bursar_tell_changed('id');
CREATE TRIGGER tell_changed AFTER INSERT ON price
    FOR EACH STATEMENT EXECUTE FUNCTION bursar_tell_table_changed();
