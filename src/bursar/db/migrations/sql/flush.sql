-- Booking what happened. Usage is a fact: it is never refused, and what cannot be booked is kept in quarantine.

CREATE TYPE bursar_booked AS (wallet_id uuid, lease_id uuid, sale bigint, rows bigint);

-- Insert rows given as a JSON array of UsageRow (bursar.core.booking) with their hashes; answers sums of what
-- was inserted, and drops the marks these rows end. Rows whose key exists or whose wallet does not are left out. Linear in rows: one parse, one
-- insert into two indexes, two lookups each. Sorted by request, so that replays of the same rows queue up.
CREATE FUNCTION bursar_insert_usage(p_rows json, p_hashes text[], p_late boolean) RETURNS bursar_booked[]
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
    WITH inserted AS (
        INSERT INTO usage (request_id, organisation_id, wallet_id, api_key_id, lease_id, provider_id,
            credential_id, started_at, finished_at, cost, sale, input_tokens, output_tokens, latency_ms,
            first_byte_ms, attempt, revision, status, streamed, estimated, from_mark, late, asset, scope_class,
            model, provider_model, endpoint, dialect, outcome, error_code, service_tier, provider_request_id,
            end_user, content_hash, flags, quantities, price_ids, raw_usage)
        SELECT r.request_id, r.organisation_id, r.wallet_id, r.api_key_id, r.lease_id, r.provider_id,
            r.credential_id, to_timestamp(r.started_at_ms / 1000.0), to_timestamp(r.finished_at_ms / 1000.0),
            r.cost, r.sale, r.input_tokens, r.output_tokens, r.latency_ms, r.first_byte_ms, r.attempt,
            r.revision, r.status, r.streamed, r.estimated, r.from_mark,
            p_late OR hold.state IS DISTINCT FROM 'active', r.asset, r.scope_class, r.model, r.provider_model,
            r.endpoint, r.dialect, r.outcome, r.error_code, r.service_tier, r.provider_request_id, r.end_user,
            r.content_hash, r.flags, r.quantities, r.price_ids, r.raw_usage
        FROM ROWS FROM (
            json_to_recordset(p_rows) AS (request_id uuid, attempt smallint, revision smallint,
                started_at_ms bigint, finished_at_ms bigint, organisation_id uuid, wallet_id uuid, asset text,
                scope_class text, api_key_id uuid, lease_id uuid, provider_id uuid, credential_id uuid,
                model text, provider_model text, endpoint text, dialect text, streamed boolean,
                status smallint, outcome text, error_code text, quantities jsonb, price_ids jsonb,
                input_tokens bigint, output_tokens bigint, estimated boolean, flags text[], raw_usage text,
                service_tier text, cost bigint, sale bigint, latency_ms integer, first_byte_ms integer,
                provider_request_id text, end_user text, from_mark boolean),
            unnest(p_hashes)
        ) AS r (request_id, attempt, revision, started_at_ms, finished_at_ms, organisation_id, wallet_id,
            asset, scope_class, api_key_id, lease_id, provider_id, credential_id, model, provider_model,
            endpoint, dialect, streamed, status, outcome, error_code, quantities, price_ids, input_tokens,
            output_tokens, estimated, flags, raw_usage, service_tier, cost, sale, latency_ms, first_byte_ms,
            provider_request_id, end_user, from_mark, content_hash)
        JOIN wallet ON wallet.id = r.wallet_id AND wallet.organisation_id = r.organisation_id
            AND wallet.asset = r.asset
        LEFT JOIN hold ON hold.id = r.lease_id AND hold.wallet_id = r.wallet_id
        ORDER BY r.request_id, r.attempt, r.revision
        ON CONFLICT (organisation_id, started_at, request_id, attempt, revision) DO NOTHING
        RETURNING wallet_id, lease_id, sale, streamed, latency_ms, request_id, attempt
    ), unmarked AS (
        -- Marks come and go by the thousand: a join would be planned while the table is empty and then read
        -- all that is dead in it. One look-up by key each never does.
        DELETE FROM usage_mark WHERE ctid = ANY (ARRAY(
            SELECT (SELECT mark.ctid FROM usage_mark AS mark
                WHERE mark.request_id = inserted.request_id AND mark.attempt = inserted.attempt)
            -- Whole answers leave a mark only when they took long (MARKED_AFTER_MS of bursar.gateway.unanswered).
            FROM inserted WHERE inserted.streamed OR inserted.latency_ms >= 1000))
    )
    SELECT coalesce(array_agg(ROW(wallet_id, lease_id, sale, rows)::bursar_booked), '{}') FROM (
        SELECT wallet_id, lease_id, sum(greatest(sale, 0))::bigint AS sale, count(*) AS rows
        FROM inserted GROUP BY wallet_id, lease_id
    ) AS sums
$$;

CREATE FUNCTION bursar_quarantine(p_process uuid, p_row json, p_hash text, p_reason text, p_detail text,
    p_now timestamptz)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO usage_quarantine (content_hash, reason, detail, process_id, request_id, row, received_at)
    VALUES (p_hash, p_reason, p_detail, p_process, substring(p_row::text FROM '"request_id":"([0-9a-f-]{36})"'),
        p_row::text, p_now)
    ON CONFLICT (content_hash) DO NOTHING
$$;

CREATE FUNCTION bursar_revision_of(p_row json, p_revision integer, p_sale bigint, p_cost bigint) RETURNS json
LANGUAGE sql IMMUTABLE RETURN (p_row::jsonb
    || jsonb_build_object('revision', p_revision, 'sale', (p_row ->> 'sale')::bigint - p_sale,
        'cost', (p_row ->> 'cost')::bigint - p_cost))::json;

-- Book one row whose key exists: the same content is a replay and changes nothing; a row booked from a progress
-- mark is replaced by a revision that holds the final figures in full, its sale and cost less what was booked;
-- a mark older than what is booked is nothing new; anything else raises. Answers what was inserted.
CREATE FUNCTION bursar_revise_usage(p_row json, p_hash text, p_late boolean) RETURNS bursar_booked[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    booked record;
    inserted bursar_booked[];
BEGIN
    LOOP
        SELECT count(*) AS revisions, max(revision) AS revision, sum(sale)::bigint AS sale,
                sum(cost)::bigint AS cost, bool_or(content_hash = p_hash) AS is_replay,
                (array_agg(from_mark ORDER BY revision DESC))[1] AS from_mark
            INTO booked FROM usage
            WHERE organisation_id = (p_row ->> 'organisation_id')::uuid
                AND started_at = to_timestamp((p_row ->> 'started_at_ms')::bigint / 1000.0)
                AND request_id = (p_row ->> 'request_id')::uuid AND attempt = (p_row ->> 'attempt')::smallint;
        IF booked.revisions = 0 THEN
            RAISE EXCEPTION 'no wallet % of this organisation and asset', p_row ->> 'wallet_id'
                USING ERRCODE = 'P0001';
        ELSIF booked.is_replay OR (p_row ->> 'from_mark')::boolean
                AND (NOT booked.from_mark OR (p_row ->> 'sale')::bigint <= booked.sale) THEN
            RETURN ARRAY[ROW((p_row ->> 'wallet_id')::uuid, NULL, 0, 0)::bursar_booked];
        ELSIF NOT booked.from_mark THEN
            RAISE EXCEPTION 'booked before with other content' USING ERRCODE = 'P0001';
        END IF;
        inserted := bursar_insert_usage(json_build_array(
            bursar_revision_of(p_row, booked.revision + 1, booked.sale, booked.cost)), ARRAY[p_hash], p_late);
        IF cardinality(inserted) > 0 THEN
            RETURN inserted;
        END IF;  -- another replay wrote that revision first: look again
    END LOOP;
END $$;

-- Row by row: what is wrong with one row must not keep the others from being booked. One subtransaction a row.
CREATE FUNCTION bursar_book_singly(p_process uuid, p_rows json, p_hashes text[], p_late boolean,
    p_now timestamptz, OUT booked bursar_booked[], OUT quarantined text[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    item record;
    inserted bursar_booked[];
BEGIN
    booked := '{}';
    quarantined := '{}';
    FOR item IN SELECT one.value AS row, p_hashes[one.ordinality] AS hash
        FROM json_array_elements(p_rows) WITH ORDINALITY AS one
        -- Not by ->>: that would stumble over the very row that is wrong.
        ORDER BY substring(one.value::text FROM '"request_id":"([0-9a-f-]{36})"'), one.ordinality LOOP
        BEGIN
            inserted := bursar_insert_usage(json_build_array(item.row), ARRAY[item.hash], p_late);
            IF cardinality(inserted) = 0 THEN
                inserted := bursar_revise_usage(item.row, item.hash, p_late);
            END IF;
            booked := booked || inserted;
        -- Only errors that the row itself causes; a full disk or a deadlock is not the row's fault.
        EXCEPTION WHEN data_exception OR integrity_constraint_violation OR raise_exception THEN
            PERFORM bursar_quarantine(p_process, item.row, item.hash, sqlstate, sqlerrm, p_now);
            quarantined := quarantined || item.hash;
        END;
    END LOOP;
END $$;

-- Keep the newest mark of each running attempt; an attempt that is booked already needs none (a late mark must
-- not come back to life). Linear in marks.
CREATE FUNCTION bursar_upsert_marks(p_process uuid, p_marks json, p_hashes text[], p_now timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
    INSERT INTO usage_mark (request_id, attempt, process_id, content_hash, row, marked_at)
    SELECT (mark ->> 'request_id')::uuid, (mark ->> 'attempt')::smallint, p_process, hash, mark::text, p_now
    FROM ROWS FROM (json_array_elements(p_marks), unnest(p_hashes)) AS marks (mark, hash)
    -- OFFSET 0 keeps this a look-up by key for each mark; a join was planned for an empty month and read all of it.
    WHERE NOT EXISTS (
        SELECT FROM usage WHERE organisation_id = (mark ->> 'organisation_id')::uuid
            AND started_at = to_timestamp((mark ->> 'started_at_ms')::bigint / 1000.0)
            AND request_id = (mark ->> 'request_id')::uuid AND attempt = (mark ->> 'attempt')::smallint
        OFFSET 0)
    ORDER BY 1, 2
    ON CONFLICT (request_id, attempt) DO UPDATE SET process_id = excluded.process_id,
        content_hash = excluded.content_hash, row = excluded.row, marked_at = excluded.marked_at
$$;

-- All marks, or, when one of them is broken, all others: a mark is progress, its row is still to come.
CREATE FUNCTION bursar_keep_marks(p_process uuid, p_marks json, p_hashes text[], p_now timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    item record;
BEGIN
    BEGIN
        PERFORM bursar_upsert_marks(p_process, p_marks, p_hashes, p_now);
        RETURN;
    EXCEPTION WHEN data_exception OR integrity_constraint_violation OR cardinality_violation THEN
        NULL;  -- one by one below
    END;
    FOR item IN SELECT one.value AS row, p_hashes[one.ordinality] AS hash
        FROM json_array_elements(p_marks) WITH ORDINALITY AS one LOOP
        BEGIN
            PERFORM bursar_upsert_marks(p_process, json_build_array(item.row), ARRAY[item.hash], p_now);
        EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
            RAISE WARNING 'a progress mark of process % cannot be kept: %', p_process, sqlerrm;
        END;
    END LOOP;
END $$;

-- Add sales to the leases they were made under. Leases are locked last, by id.
CREATE FUNCTION bursar_spend(p_booked bursar_booked[]) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM FROM hold WHERE id IN (SELECT lease_id FROM unnest(p_booked)) ORDER BY id FOR NO KEY UPDATE;
    UPDATE hold SET spent = spent + sums.sale
    FROM (SELECT lease_id, wallet_id, sum(sale)::bigint AS sale FROM unnest(p_booked)
        GROUP BY lease_id, wallet_id) AS sums
    WHERE hold.id = sums.lease_id AND hold.wallet_id = sums.wallet_id AND sums.sale > 0;
END $$;

-- posted - owed - what leases spent and no posting burned yet. Rows without an open lease (late ones) show up
-- when they are posted, a second later.
CREATE FUNCTION bursar_balances(p_wallets uuid[]) RETURNS json LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(json_object_agg(wallet.id, wallet.posted - wallet.owed - coalesce((
        SELECT sum(spent - burned) FROM hold WHERE wallet_id = wallet.id AND state <> 'closed'), 0)), '{}')
    FROM wallet WHERE wallet.id = ANY (p_wallets)
$$;

-- One call books a batch. Its process is locked FOR KEY SHARE, which the sweeper's FOR UPDATE waits for; a closed
-- process's rows are booked all the same and the answer says `late`: drop all leases.
-- Answer: {"late": …, "balances": {wallet: posted - owed - unposted sales}, "quarantined": [hash, …]}
CREATE FUNCTION bursar_flush(p_process uuid, p_rows json, p_hashes text[], p_marks json, p_mark_hashes text[],
    p_now timestamptz)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    late boolean;
    booked bursar_booked[];
    booked_marks bursar_booked[];
    quarantined text[] := '{}';
    quarantined_marks text[] := '{}';
BEGIN
    PERFORM FROM process WHERE id = p_process AND state = 'alive' FOR KEY SHARE;
    late := NOT FOUND;
    IF cardinality(p_hashes) > 0 THEN
        BEGIN
            booked := bursar_insert_usage(p_rows, p_hashes, late);
            IF (SELECT coalesce(sum(rows), 0) FROM unnest(booked)) <> cardinality(p_hashes) THEN
                RAISE EXCEPTION 'some rows exist' USING ERRCODE = 'BU005';
            END IF;
        EXCEPTION WHEN data_exception OR integrity_constraint_violation OR raise_exception OR SQLSTATE 'BU005' THEN
            SELECT * INTO booked, quarantined
                FROM bursar_book_singly(p_process, p_rows, p_hashes, late, p_now);
        END;
    END IF;
    IF late AND cardinality(p_mark_hashes) > 0 THEN
        -- Nobody will sweep this process again, so its progress is booked at once; its end becomes a revision.
        SELECT * INTO booked_marks, quarantined_marks
            FROM bursar_book_singly(p_process, p_marks, p_mark_hashes, late, p_now);
        booked := booked || booked_marks;
    ELSIF cardinality(p_mark_hashes) > 0 THEN
        PERFORM bursar_keep_marks(p_process, p_marks, p_mark_hashes, p_now);
    END IF;
    PERFORM bursar_spend(booked);
    RETURN json_build_object('late', late, 'quarantined', quarantined || quarantined_marks,
        'balances', bursar_balances(ARRAY(SELECT DISTINCT wallet_id FROM unnest(booked))));
END $$;
