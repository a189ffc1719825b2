-- What is left behind: processes that stopped, lots that expired.

-- Alive by their row, but silent for longer than p_life by this database's clock. Oldest first.
CREATE FUNCTION bursar_silent_processes(p_life interval, p_max integer) RETURNS SETOF uuid LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT id FROM process WHERE state = 'alive' AND last_beat_at < clock_timestamp() - p_life
    ORDER BY last_beat_at LIMIT p_max
$$;

-- Book the marks a process left behind as they stand, then drop them. What cannot be booked goes to quarantine.
CREATE FUNCTION bursar_settle_marks(p_process uuid, p_now timestamptz) RETURNS bursar_booked[] LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    marks json;
    hashes text[];
    ids uuid[];
    booked bursar_booked[];
BEGIN
    SELECT json_agg(row::json ORDER BY request_id, attempt),
        array_agg(content_hash ORDER BY request_id, attempt), array_agg(request_id) INTO marks, hashes, ids FROM usage_mark WHERE process_id = p_process;
    IF marks IS NULL THEN
        RETURN '{}';
    END IF;
    SELECT singly.booked INTO booked FROM bursar_book_singly(p_process, marks, hashes, false, p_now) AS singly;
    DELETE FROM usage_mark WHERE process_id = p_process AND request_id = ANY (ids);
    RETURN booked;
END $$;

-- Close a process: settle its marks, close its leases. With p_life, only if it is still silent for so long; its
-- row is locked FOR UPDATE, so a flush or beat under way ends first, and one that comes later finds it closed.
-- False: nothing to close. Grows with the process's marks and leases.
CREATE FUNCTION bursar_close_process(p_process uuid, p_life interval, p_now timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM FROM process WHERE id = p_process AND state = 'alive'
        AND (p_life IS NULL OR last_beat_at < clock_timestamp() - p_life) FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE process SET state = 'closed', closed_at = clock_timestamp() WHERE id = p_process;
    PERFORM FROM wallet WHERE id IN (SELECT wallet_id FROM hold WHERE process_id = p_process AND state = 'active')
        ORDER BY id FOR NO KEY UPDATE;
    PERFORM bursar_spend(bursar_settle_marks(p_process, p_now));
    PERFORM bursar_close_leases(p_process);
    RETURN true;
END $$;

-- A closing lease covers what was spent and not posted yet, never more than it held; it is closed when that is 0.
-- The caller holds the process's and the wallets' locks.
CREATE FUNCTION bursar_close_leases(p_process uuid) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    lowered bursar_amount[];
BEGIN
    PERFORM FROM hold WHERE process_id = p_process AND state = 'active' ORDER BY id FOR NO KEY UPDATE;
    WITH news AS (
        SELECT id, wallet_id, amount AS old_amount, least(amount, greatest(spent - burned, 0)) AS amount
        FROM hold WHERE process_id = p_process AND state = 'active'
    ), changed AS (
        UPDATE hold SET amount = news.amount, state = CASE WHEN news.amount = 0 THEN 'closed' ELSE 'closing' END
        FROM news WHERE hold.id = news.id
    )
    SELECT coalesce(array_agg(ROW(wallet_id, amount - old_amount)::bursar_amount), '{}') INTO lowered FROM news;
    PERFORM bursar_change_wallets('{}', '{}', lowered);
END $$;

-- Wallets with a lot that expired and is not broken yet.
CREATE FUNCTION bursar_expired_wallets(p_now timestamptz, p_max integer) RETURNS SETOF uuid LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT wallet_id FROM credit_lot WHERE is_open AND expires_at <= p_now ORDER BY wallet_id LIMIT p_max
$$;

-- Post, then break what is left of each expired lot, save what holds and debts still lean on: that is tried again
-- at the next sweep, when recalled leases have come home. Answers what was broken. One step per expired lot.
CREATE FUNCTION bursar_expire(p_wallet uuid, p_now timestamptz) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    target wallet := bursar_lock_wallet(p_wallet);
    lot credit_lot;
    part bigint;
    txn_id bigint;
    source text;
    broken bigint := 0;
BEGIN
    PERFORM bursar_post_wallet(p_wallet, p_now);
    FOR lot IN SELECT * FROM credit_lot WHERE wallet_id = p_wallet AND is_open AND expires_at <= p_now
        ORDER BY scope_class IS NULL, priority, expires_at, cost_basis, created_at, seq
    LOOP
        part := least(lot.remaining, bursar_grantable(p_wallet, lot.scope_class, p_now, true));
        CONTINUE WHEN part <= 0;
        SELECT lot.id || '-' || count(*) INTO source FROM lot_consumption WHERE lot_id = lot.id;
        SELECT * INTO target FROM wallet WHERE id = p_wallet;
        INSERT INTO ledger_transaction (kind, source, organisation_id, wallet_id, asset, amount, balance_after,
                occurred_at, corrects)
            VALUES ('expiry', source || ':' || p_wallet, target.organisation_id, p_wallet, target.asset, -part,
                target.posted - target.owed - part, p_now, lot.transaction_id)
            RETURNING id INTO txn_id;
        PERFORM bursar_drain_lot(lot, txn_id, 'expiry', source, 'breakage', part);
        broken := broken + part;
    END LOOP;
    IF EXISTS (SELECT FROM credit_lot WHERE wallet_id = p_wallet AND is_open AND expires_at <= p_now) THEN
        PERFORM pg_notify('bursar_recall', p_wallet::text);  -- again: a recall can go unheard
    END IF;
    RETURN broken;
END $$;
