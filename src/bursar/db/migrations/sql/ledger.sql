-- Money in, money back, and what may be owed. Every write is idempotent: (kind, key:wallet) is unique, the same
-- content answers what it answered before, other content is refused (BU010).

CREATE FUNCTION bursar_written_before(p_kind text, p_source text, p_hash text) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    written ledger_transaction;
BEGIN
    SELECT * INTO written FROM ledger_transaction WHERE kind = p_kind AND source = p_source;
    IF written.content_hash IS DISTINCT FROM p_hash AND written.id IS NOT NULL THEN
        RAISE EXCEPTION 'this key was used for other content' USING ERRCODE = 'BU010';
    END IF;
    RETURN written.id;
END $$;

-- Lock the wallet and answer it.
CREATE FUNCTION bursar_lock_wallet(p_wallet uuid) RETURNS wallet LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    locked wallet;
BEGIN
    SELECT * INTO locked FROM wallet WHERE id = p_wallet FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no wallet %', p_wallet USING ERRCODE = 'BU004';
    END IF;
    RETURN locked;
END $$;

-- Credits arrive as a lot; what is owed is repaid first (credit given away repays only when it is general).
-- 'purchase' and 'manual' are money received (cash), other kinds are given away (promo).
CREATE FUNCTION bursar_top_up(p_wallet uuid, p_lot uuid, p_kind text, p_amount bigint, p_scope_class text,
    p_priority integer, p_effective_at timestamptz, p_expires_at timestamptz, p_cost_basis numeric, p_key text,
    p_hash text, p_description text, p_reference text, p_now timestamptz)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    is_paid boolean := p_kind IN ('purchase', 'manual');
    txn_kind text := CASE WHEN is_paid THEN 'top_up' ELSE 'grant' END;
    target wallet := bursar_lock_wallet(p_wallet);
    txn_id bigint := coalesce(bursar_written_before('top_up', p_key || ':' || p_wallet, p_hash),
        bursar_written_before('grant', p_key || ':' || p_wallet, p_hash));  -- one key, whichever it became
    repaid bigint := CASE WHEN is_paid OR p_scope_class IS NULL THEN least(p_amount, target.owed) ELSE 0 END;
BEGIN
    IF txn_id IS NOT NULL THEN
        RETURN txn_id;
    ELSIF p_amount < 1 THEN
        RAISE EXCEPTION 'a top-up of % units', p_amount USING ERRCODE = 'BU003';
    END IF;
    INSERT INTO ledger_transaction (kind, source, organisation_id, wallet_id, asset, amount, balance_after,
            occurred_at, description, reference, content_hash)
        VALUES (txn_kind, p_key || ':' || p_wallet, target.organisation_id, p_wallet, target.asset, p_amount,
            target.posted - target.owed + p_amount, p_now, p_description, p_reference, p_hash)
        RETURNING id INTO txn_id;
    IF p_amount > repaid THEN
        INSERT INTO credit_lot (id, wallet_id, organisation_id, transaction_id, kind, scope_class, priority,
                effective_at, expires_at, cost_basis, created_at, original, remaining)
            VALUES (p_lot, p_wallet, target.organisation_id, txn_id, p_kind, p_scope_class, p_priority,
                p_effective_at, p_expires_at, p_cost_basis, p_now, p_amount - repaid, p_amount - repaid);
    END IF;
    PERFORM bursar_write_entries(txn_kind, p_key, ARRAY[
        ROW(p_wallet, CASE WHEN is_paid THEN 'cash' ELSE 'promo' END, NULL, -p_amount)::bursar_line,
        ROW(p_wallet, 'receivable', p_wallet, repaid)::bursar_line,
        ROW(p_wallet, 'wallet', p_wallet, p_amount - repaid)::bursar_line]);
    PERFORM bursar_change_wallets(ARRAY[ROW(p_wallet, p_amount - repaid)::bursar_amount],
        ARRAY[ROW(p_wallet, -repaid)::bursar_amount], '{}');
    RETURN txn_id;
END $$;

-- Give a sale back, at most what is left of it. Posts first, so that there is something to return to.
-- p_attempt null: the request's last attempt that was sold.
CREATE FUNCTION bursar_refund_usage(p_wallet uuid, p_request uuid, p_attempt integer, p_amount bigint, p_key text,
    p_hash text, p_description text, p_reference text, p_now timestamptz)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    target wallet := bursar_lock_wallet(p_wallet);
    txn_id bigint := bursar_written_before('usage_refund', p_key || ':' || p_wallet, p_hash);
    sold record;
    refunded bigint;
BEGIN
    IF txn_id IS NOT NULL THEN
        RETURN txn_id;
    ELSIF p_amount < 1 THEN
        RAISE EXCEPTION 'a refund of % units', p_amount USING ERRCODE = 'BU003';
    END IF;
    PERFORM bursar_post_wallet(p_wallet, p_now);
    SELECT * INTO target FROM wallet WHERE id = p_wallet;
    SELECT attempt, sum(sale)::bigint AS sale, min(scope_class) AS scope_class INTO sold FROM usage
        WHERE organisation_id = target.organisation_id AND wallet_id = p_wallet AND request_id = p_request
            AND started_at = bursar_time_of(p_request) AND (p_attempt IS NULL OR attempt = p_attempt)
        GROUP BY attempt ORDER BY sum(sale) > 0 DESC, attempt DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no usage of request %', p_request USING ERRCODE = 'BU004';
    END IF;
    SELECT coalesce(sum(amount), 0) INTO refunded FROM ledger_transaction
        WHERE kind = 'usage_refund' AND request_id = p_request AND attempt = sold.attempt AND wallet_id = p_wallet;
    IF p_amount > sold.sale - refunded THEN
        RAISE EXCEPTION 'refund of %, but % of the sale is left', p_amount, sold.sale - refunded
            USING ERRCODE = 'BU011', DETAIL = (sold.sale - refunded)::text;
    END IF;
    INSERT INTO ledger_transaction (kind, source, organisation_id, wallet_id, asset, amount, balance_after,
            occurred_at, description, reference, content_hash, request_id, attempt, corrects)
        VALUES ('usage_refund', p_key || ':' || p_wallet, target.organisation_id, p_wallet, target.asset, p_amount,
            target.posted - target.owed + p_amount, p_now, p_description, p_reference, p_hash, p_request,
            sold.attempt, (bursar_postings_of(target.organisation_id, p_request, sold.attempt, p_wallet))[1])
        RETURNING id INTO txn_id;
    PERFORM bursar_return_sale(txn_id,
        bursar_postings_of(target.organisation_id, p_request, sold.attempt, p_wallet), sold.scope_class, p_amount,
        p_now);
    RETURN txn_id;
END $$;

-- Pay money back out of a purchased lot, at most what of it is unspent and no hold or debt leans on.
CREATE FUNCTION bursar_refund_top_up(p_wallet uuid, p_lot uuid, p_amount bigint, p_key text, p_hash text,
    p_description text, p_reference text, p_now timestamptz)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    target wallet := bursar_lock_wallet(p_wallet);
    txn_id bigint := bursar_written_before('top_up_refund', p_key || ':' || p_wallet, p_hash);
    lot credit_lot;
    free bigint;
BEGIN
    IF txn_id IS NOT NULL THEN
        RETURN txn_id;
    ELSIF p_amount < 1 THEN
        RAISE EXCEPTION 'a refund of % units', p_amount USING ERRCODE = 'BU003';
    END IF;
    PERFORM bursar_post_wallet(p_wallet, p_now);
    SELECT * INTO target FROM wallet WHERE id = p_wallet;
    SELECT * INTO lot FROM credit_lot WHERE id = p_lot AND wallet_id = p_wallet AND kind IN ('purchase', 'manual');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'wallet % has no paid lot %', p_wallet, p_lot USING ERRCODE = 'BU004';
    END IF;
    free := least(lot.remaining, bursar_grantable(p_wallet, lot.scope_class, p_now, true));
    IF p_amount > free THEN
        RAISE EXCEPTION 'refund of %, but % is unspent and free', p_amount, free
            USING ERRCODE = 'BU012', DETAIL = free::text;
    END IF;
    INSERT INTO ledger_transaction (kind, source, organisation_id, wallet_id, asset, amount, balance_after,
            occurred_at, description, reference, content_hash, corrects)
        VALUES ('top_up_refund', p_key || ':' || p_wallet, target.organisation_id, p_wallet, target.asset,
            -p_amount, target.posted - target.owed - p_amount, p_now, p_description, p_reference, p_hash,
            lot.transaction_id)
        RETURNING id INTO txn_id;
    PERFORM bursar_drain_lot(lot, txn_id, 'top_up_refund', p_key, 'cash', p_amount);
    RETURN txn_id;
END $$;

-- Take p_amount out of a lot for good; p_account (cash or breakage) gets it.
CREATE FUNCTION bursar_drain_lot(p_lot credit_lot, p_transaction bigint, p_kind text, p_source text,
    p_account text, p_amount bigint)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE credit_lot SET remaining = remaining - p_amount WHERE id = p_lot.id;
    INSERT INTO lot_consumption (lot_id, transaction_id, organisation_id, amount)
        VALUES (p_lot.id, p_transaction, p_lot.organisation_id, p_amount);
    PERFORM bursar_write_entries(p_kind, p_source, ARRAY[
        ROW(p_lot.wallet_id, 'wallet', p_lot.wallet_id, -p_amount)::bursar_line,
        ROW(p_lot.wallet_id, p_account, NULL, p_amount)::bursar_line]);
    PERFORM bursar_change_wallets(ARRAY[ROW(p_lot.wallet_id, -p_amount)::bursar_amount], '{}', '{}');
END $$;

-- A fact: what no longer fits becomes overrun. The transaction has no entries; it remembers that it was done.
CREATE FUNCTION bursar_set_credit_limit(p_wallet uuid, p_credit_limit bigint, p_key text, p_hash text,
    p_description text, p_reference text, p_now timestamptz)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    target wallet := bursar_lock_wallet(p_wallet);
    txn_id bigint := bursar_written_before('credit_limit', p_key || ':' || p_wallet, p_hash);
BEGIN
    IF txn_id IS NOT NULL THEN
        RETURN txn_id;
    ELSIF p_credit_limit < 0 THEN
        RAISE EXCEPTION 'a credit limit of % units', p_credit_limit USING ERRCODE = 'BU003';
    END IF;
    INSERT INTO ledger_transaction (kind, source, organisation_id, wallet_id, asset, amount, balance_after,
            occurred_at, description, reference, content_hash)
        VALUES ('credit_limit', p_key || ':' || p_wallet, target.organisation_id, p_wallet, target.asset, 0,
            target.posted - target.owed, p_now, p_description, p_reference, p_hash)
        RETURNING id INTO txn_id;
    UPDATE wallet SET credit_limit = p_credit_limit,
            overrun = bursar_overrun(posted, held, owed, p_credit_limit)
        WHERE id = p_wallet;
    IF bursar_overrun(target.posted, target.held, target.owed, p_credit_limit) > target.overrun THEN
        PERFORM pg_notify('bursar_recall', p_wallet::text);
    END IF;
    RETURN txn_id;
END $$;

-- Everything of one wallet, in runs. Grows with its unposted rows.
CREATE FUNCTION bursar_post_wallet(p_wallet uuid, p_now timestamptz) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    WHILE (bursar_post(p_now, 1, 50000, p_wallet)).rows > 0 LOOP
        NULL;  -- until nothing is left
    END LOOP;
END $$;
