-- The audit log: what was changed in the control plane, by whom, from where. Written by triggers, so that no
-- program can forget it; sealed into a chain by the worker (docs/adr/0018-audit-chain.md).

-- actor_*: who; db_role: the database role that wrote. subject, subject_id: table and primary key of the row.
-- changes: JSON {"before": {column: value}, "after": {...}}, of what changed only, secrets masked.
-- What is personal stands apart, so that it can be erased while the chain still proves the rest: actor_part
-- ({"name", "address"}) and row_part ({"before", "after"} of personal columns), each bound by
-- digest = SHA-256(salt || part). A digest without its part was erased; no digest: there never was a part.
-- person_id: whom the row is about. internal: not for the organisation's eyes.
-- seq, hash, mark: given by the worker, in the order it saw the entries committed.
CREATE TABLE audit_entry (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    organisation_id uuid,
    internal boolean NOT NULL,
    person_id uuid,
    actor_kind text NOT NULL,
    actor_id uuid,
    db_role text NOT NULL,
    action text NOT NULL CHECK (action IN ('insert', 'update', 'delete', 'import', 'erase')),
    subject text NOT NULL,
    subject_id text NOT NULL,
    changes text NOT NULL,
    actor_part text,
    actor_salt bytea,
    actor_digest bytea CHECK (octet_length(actor_digest) = 32),
    row_part text,
    row_salt bytea,
    row_digest bytea CHECK (octet_length(row_digest) = 32),
    seq bigint,
    hash bytea CHECK (octet_length(hash) = 32),
    mark bytea CHECK (octet_length(mark) = 32),
    CONSTRAINT audit_entry_seq_key UNIQUE (seq),
    CONSTRAINT audit_entry_is_sealed_whole CHECK ((seq IS NULL) = (hash IS NULL) AND (seq IS NULL) = (mark IS NULL))
);
CREATE INDEX audit_entry_unsealed_idx ON audit_entry (id) WHERE seq IS NULL;
CREATE INDEX audit_entry_organisation_id_idx ON audit_entry (organisation_id, id);
CREATE INDEX audit_entry_subject_idx ON audit_entry (subject, subject_id, id);
CREATE INDEX audit_entry_actor_id_idx ON audit_entry (actor_id, id) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_entry_person_id_idx ON audit_entry (person_id, id) WHERE person_id IS NOT NULL;
CREATE INDEX audit_entry_at_idx ON audit_entry (at);

-- Only ever added to. Two things may still happen to an entry: it is sealed, once; its personal parts go.
CREATE FUNCTION bursar_guard_audit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sealing text[] := ARRAY['seq', 'hash', 'mark'];
    parts text[] := ARRAY['actor_part', 'actor_salt', 'row_part', 'row_salt'];
BEGIN
    IF tg_op = 'UPDATE' THEN
        IF old.seq IS NULL AND new.seq IS NOT NULL AND to_jsonb(new) - sealing = to_jsonb(old) - sealing THEN
            RETURN new;
        END IF;
        IF to_jsonb(new) - parts = to_jsonb(old) - parts
            AND (new.actor_part IS NULL AND new.actor_salt IS NULL
                OR (new.actor_part, new.actor_salt) IS NOT DISTINCT FROM (old.actor_part, old.actor_salt))
            AND (new.row_part IS NULL AND new.row_salt IS NULL
                OR (new.row_part, new.row_salt) IS NOT DISTINCT FROM (old.row_part, old.row_salt))
        THEN
            RETURN new;
        END IF;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only: % refused', tg_op USING ERRCODE = 'BU001';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION bursar_guard_audit();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit_entry EXECUTE FUNCTION bursar_refuse_change();

-- Write one entry. Who acts is told by the program in 'bursar.actor'; a change without is the worker's own
-- ('system'), a visitor's who is not signed in yet, or somebody's with SQL in his hands ('database').
-- SECURITY DEFINER: nobody else can write entries, so nobody can invent them.
CREATE FUNCTION bursar_write_audit(p_action text, p_subject text, p_subject_id text, p_organisation uuid,
    p_person uuid, p_internal boolean, p_changes jsonb, p_row_part jsonb) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    said jsonb := nullif(current_setting('bursar.actor', true), '')::jsonb;
    acting text := CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role') END;
    kind text := coalesce(said ->> 'kind',
        CASE acting WHEN 'bursar_worker' THEN 'system' WHEN 'bursar_accounts' THEN 'visitor' ELSE 'database' END);
    actor text := nullif(jsonb_strip_nulls(jsonb_build_object('name',
        coalesce(said ->> 'name', CASE kind WHEN 'database' THEN session_user END),
        'address', said ->> 'address'))::text, '{}');
    actor_salt bytea := CASE WHEN actor IS NOT NULL THEN uuid_send(gen_random_uuid()) END;
    whose text := nullif(p_row_part, '{}')::text;
    row_salt bytea := CASE WHEN whose IS NOT NULL THEN uuid_send(gen_random_uuid()) END;
BEGIN
    INSERT INTO audit_entry (at, organisation_id, internal, person_id, actor_kind, actor_id, db_role, action,
        subject, subject_id, changes, actor_part, actor_salt, actor_digest, row_part, row_salt, row_digest)
    VALUES (clock_timestamp(), p_organisation, p_internal, p_person, kind, (said ->> 'id')::uuid, acting, p_action,
        p_subject, p_subject_id, p_changes::text, actor, actor_salt, sha256(actor_salt || convert_to(actor, 'UTF8')),
        whose, row_salt, sha256(row_salt || convert_to(whose, 'UTF8')));
END $$;

-- The values of some columns as the log shows them: secrets only as being there, long ones by their digest.
CREATE FUNCTION bursar_audit_shown(p_row jsonb, p_columns text[], p_secrets text[]) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_object_agg(key, CASE
        WHEN value = 'null' THEN value
        WHEN key = ANY (p_secrets) THEN '"***"'
        WHEN length(value::text) > 8000 THEN jsonb_build_object(
            'characters', length(value::text), 'sha256', encode(sha256(convert_to(value::text, 'UTF8')), 'hex'))
        ELSE value END), '{}')
    FROM jsonb_each(p_row) WHERE key = ANY (p_columns)
$$;

-- One entry per changed row. What support does on a customer's behalf is that customer's to see, too.
-- Arguments: the columns of the primary key, secret ones, personal ones, those
-- whose change alone is no event, and whether the organisation may see it.
CREATE FUNCTION bursar_audit_row() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    secrets text[] := tg_argv[1]::text[];
    personal text[] := tg_argv[2]::text[];
    was jsonb := CASE WHEN tg_op <> 'INSERT' THEN to_jsonb(old) ELSE '{}' END;
    now_is jsonb := CASE WHEN tg_op <> 'DELETE' THEN to_jsonb(new) ELSE '{}' END;
    whole jsonb := was || now_is;
    changed text[];
    open_ones text[];
    whose text[];
BEGIN
    SELECT array_agg(key), array_agg(key) FILTER (WHERE key <> ALL (personal)),
        array_agg(key) FILTER (WHERE key = ANY (personal))
    INTO changed, open_ones, whose FROM jsonb_object_keys(whole) AS key
    WHERE coalesce(was -> key, 'null') <> coalesce(now_is -> key, 'null');
    IF changed IS NULL OR tg_op = 'UPDATE' AND changed <@ tg_argv[3]::text[] THEN
        RETURN NULL;
    END IF;
    PERFORM bursar_write_audit(lower(tg_op), tg_table_name,
        (SELECT string_agg(CASE WHEN key = ANY (secrets) THEN '***' ELSE whole ->> key END, '/' ORDER BY place)
            FROM unnest(tg_argv[0]::text[]) WITH ORDINALITY AS keys (key, place)),
        coalesce(whole ->> CASE tg_table_name WHEN 'organisation' THEN 'id' ELSE 'organisation_id' END,
            whole ->> 'viewing_organisation_id')::uuid,
        (whole ->> CASE tg_table_name WHEN 'app_user' THEN 'id' ELSE 'user_id' END)::uuid,
        tg_argv[4]::boolean,
        jsonb_build_object('before', bursar_audit_shown(was, open_ones, secrets),
            'after', bursar_audit_shown(now_is, open_ones, secrets)),
        CASE WHEN whose IS NOT NULL THEN jsonb_build_object('before', bursar_audit_shown(was, whose, secrets),
            'after', bursar_audit_shown(now_is, whose, secrets)) END);
    RETURN NULL;
END $$;

-- Prices come by the thousand: one entry for all rows of a statement, with the rows themselves when they are few.
CREATE FUNCTION bursar_audit_prices() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    told jsonb;
    span text;
BEGIN
    SELECT jsonb_build_object('count', count(*), 'models', count(DISTINCT model),
            'sources', (array_agg(DISTINCT source))[1:20], 'providers', (array_agg(DISTINCT provider_id))[1:20])
        || CASE WHEN count(*) <= 20 THEN jsonb_build_object('rows', jsonb_agg(to_jsonb(added) ORDER BY id)) ELSE '{}' END,
        min(id) || CASE WHEN count(*) > 1 THEN '-' || max(id) ELSE '' END
    INTO told, span FROM added;
    IF span IS NOT NULL THEN
        PERFORM bursar_write_audit('import', 'price', span, NULL, NULL, false,
            jsonb_build_object('before', '{}'::jsonb, 'after', told), NULL);
    END IF;
    RETURN NULL;
END $$;

-- Have the log follow a table. Secret are also, whoever forgets them: every bytea column and what is named like
-- one; personal: what is named like a name or an address. events: as in CREATE TRIGGER.
CREATE FUNCTION bursar_audit(one regclass, secret_columns text[] DEFAULT '{}', personal_columns text[] DEFAULT '{}',
    ignored_columns text[] DEFAULT '{}', is_internal boolean DEFAULT false,
    events text DEFAULT 'INSERT OR UPDATE OR DELETE') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    keys text[];
BEGIN
    SELECT array_agg(attname::text ORDER BY array_position(indkey::int[], attnum::int)) INTO keys
    FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
    WHERE indrelid = one AND indisprimary;
    SELECT secret_columns || coalesce(array_agg(attname::text), '{}') INTO secret_columns FROM pg_attribute
    WHERE attrelid = one AND attnum > 0 AND NOT attisdropped
        AND (atttypid = 'bytea'::regtype OR attname ~ '(^|_)(secret|sealed|hash|password|token)(_|$)')
        AND attname::text <> ALL (secret_columns);
    SELECT personal_columns || coalesce(array_agg(attname::text), '{}') INTO personal_columns FROM pg_attribute
    WHERE attrelid = one AND attnum > 0 AND NOT attisdropped
        AND attname ~ '(^|_)(email|address|recipient|user_agent|ip|phone|name|description|reason)$'
        AND attname::text <> ALL (personal_columns || keys);
    EXECUTE format('CREATE TRIGGER audited AFTER %s ON %s FOR EACH ROW EXECUTE FUNCTION bursar_audit_row(%L, %L, %L, %L, %L)',
        events, one, keys, secret_columns, personal_columns, ignored_columns, is_internal);
END $$;

SELECT bursar_audit('organisation'),
    bursar_audit('app_user', ignored_columns => '{totp_step}'),
    bursar_audit('membership'),
    bursar_audit('session',
        ignored_columns => '{refresh_hash,previous_hash,rotated_at,csrf_hash,used_at,expires_at}'),
    bursar_audit('signing_key'),
    bursar_audit('api_key'),
    bursar_audit('operator_token'),
    bursar_audit('provider'),
    bursar_audit('provider_credential'),
    bursar_audit('model'),
    bursar_audit('model_alias'),
    bursar_audit('route'),
    bursar_audit('setting'),
    bursar_audit('platform_fee'),
    bursar_audit('own_credential'),
    bursar_audit('budget'),
    bursar_audit('one_time_token'),
    bursar_audit('recovery_code'),
    bursar_audit('invitation'),
    bursar_audit('team'),
    bursar_audit('project'),
    bursar_audit('member_limit'),
    bursar_audit('usage_quarantine', secret_columns => '{row}', is_internal => true, events => 'UPDATE OF resolved_at');
-- Of a wallet only what somebody decides. What moves on it with every lease and posting is in the ledger.
SELECT bursar_audit('wallet', ignored_columns => '{posted,held,owed,overrun}', events => 'INSERT OR UPDATE OF credit_limit');
CREATE TRIGGER audited AFTER INSERT ON price REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION bursar_audit_prices();
-- The ledger tells what was booked, not who did it. What the posting books by itself, nobody did.
CREATE TRIGGER audited AFTER INSERT ON ledger_transaction FOR EACH ROW
    WHEN (new.kind NOT IN ('usage', 'usage_revision', 'expiry'))
    EXECUTE FUNCTION bursar_audit_row('{id}', '{content_hash}', '{}', '{}', 'false');

ALTER TABLE audit_entry ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_entry FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_entry FOR SELECT TO bursar_api USING (NOT internal
    AND organisation_id = (SELECT nullif(current_setting('bursar.organisation', true), '')::uuid));
CREATE POLICY all_tenants ON audit_entry TO bursar_owner, bursar_operator, bursar_worker
    USING (true) WITH CHECK (true);

GRANT SELECT (id, at, organisation_id, internal, person_id, actor_kind, actor_id, action, subject, subject_id,
    changes, actor_part, actor_digest, row_part, row_digest, seq, hash) ON audit_entry TO bursar_api;
GRANT SELECT ON audit_entry TO bursar_operator, bursar_worker;
GRANT UPDATE (seq, hash, mark) ON audit_entry TO bursar_worker;
REVOKE ALL ON FUNCTION bursar_guard_audit, bursar_write_audit, bursar_audit_shown, bursar_audit_row,
    bursar_audit_prices, bursar_audit FROM public;
