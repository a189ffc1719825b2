-- Posting: from usage rows to lots and ledger entries. READ COMMITTED, separate statements: each sees what was
-- committed before it, and everything but the wallets' own locks is found by unposted rows, never by lease.

CREATE TYPE bursar_sold AS (wallet_id uuid, scope_class text, lease_id uuid, provider_id uuid, sale bigint,
    cost bigint, rows bigint);
CREATE TYPE bursar_returned AS (organisation_id uuid, wallet_id uuid, scope_class text, request_id uuid,
    attempt smallint, revision smallint, amount bigint);
CREATE TYPE bursar_amount AS (wallet_id uuid, amount bigint);
CREATE TYPE bursar_posted AS (run bigint, wallets integer, rows bigint, sale bigint, cost bigint);

-- An account by its key, null when there is none. IS NOT DISTINCT FROM would find it too, but no index serves that,
-- and there are as many accounts as wallets.
CREATE FUNCTION bursar_account(p_asset text, p_kind text, p_owner uuid) RETURNS bigint LANGUAGE sql STABLE
SET search_path = public, pg_temp AS $$
    SELECT CASE WHEN p_owner IS NULL
        THEN (SELECT id FROM ledger_account WHERE asset = p_asset AND kind = p_kind AND owner IS NULL)
        ELSE (SELECT id FROM ledger_account WHERE asset = p_asset AND kind = p_kind AND owner = p_owner) END
$$;

-- Make the accounts that are missing, in one order for everybody.
CREATE FUNCTION bursar_make_accounts(p_accounts ledger_account[]) RETURNS void LANGUAGE sql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO ledger_account (asset, kind, owner, organisation_id)
    SELECT DISTINCT new.asset, new.kind, new.owner, new.organisation_id FROM unnest(p_accounts) AS new
    WHERE bursar_account(new.asset, new.kind, new.owner) IS NULL
    ORDER BY 1, 2, 3
    ON CONFLICT (asset, kind, owner) DO NOTHING
$$;

CREATE TYPE bursar_line AS (wallet_id uuid, kind text, owner uuid, amount bigint);

-- Write entries of one transaction per wallet, (p_kind, p_source:wallet); zero lines are left out.
CREATE FUNCTION bursar_write_entries(p_kind text, p_source text, p_lines bursar_line[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM bursar_make_accounts(array_agg(ROW(NULL, wallet.asset, line.kind, line.owner,
            CASE WHEN line.kind IN ('wallet', 'receivable') THEN wallet.organisation_id END)::ledger_account))
        FROM unnest(p_lines) AS line JOIN wallet ON wallet.id = line.wallet_id WHERE line.amount <> 0;
    INSERT INTO ledger_entry (transaction_id, account_id, organisation_id, asset, amount)
    SELECT txn.id, bursar_account(txn.asset, line.kind, line.owner), txn.organisation_id, txn.asset, line.amount
    FROM unnest(p_lines) AS line
    JOIN ledger_transaction AS txn ON txn.kind = p_kind AND txn.source = p_source || ':' || line.wallet_id
    WHERE line.amount <> 0
    ORDER BY 1, 2;
END $$;

-- Burn lots for what is due. p_due: per wallet and, when p_scoped, per class; answers what was burned, likewise.
-- A lot that expired but was not broken yet still pays: the sale it was held for happened while it was in force.
-- Grows with the open lots of these wallets.
CREATE FUNCTION bursar_burn(p_run bigint, p_due bursar_sold[], p_scoped boolean, p_now timestamptz)
RETURNS bursar_amount[] LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH lots AS (
        SELECT lot.id, lot.wallet_id, lot.organisation_id, lot.remaining, due.sale AS due, lot.scope_class,
            lot.priority, lot.expires_at, lot.cost_basis, lot.created_at, lot.seq,
            sum(lot.remaining) OVER (PARTITION BY lot.wallet_id, lot.scope_class ORDER BY lot.priority,
                lot.expires_at NULLS LAST, lot.cost_basis, lot.created_at, lot.seq) - lot.remaining AS before
        FROM unnest(p_due) AS due
        JOIN credit_lot AS lot ON lot.wallet_id = due.wallet_id AND lot.is_open AND lot.effective_at <= p_now
            AND (CASE WHEN p_scoped THEN lot.scope_class = due.scope_class ELSE lot.scope_class IS NULL END)
    ), burns AS (
        SELECT *, least(remaining, due - before)::bigint AS amount FROM lots WHERE before < due
    ), lowered AS (
        UPDATE credit_lot SET remaining = credit_lot.remaining - burns.amount
        FROM burns WHERE credit_lot.id = burns.id
    ), written AS (
        INSERT INTO lot_consumption (lot_id, transaction_id, organisation_id, amount)
        SELECT burns.id, txn.id, burns.organisation_id, burns.amount
        FROM burns JOIN ledger_transaction AS txn
            ON txn.kind = 'usage' AND txn.source = p_run || ':' || burns.wallet_id
        ORDER BY burns.wallet_id, burns.priority, burns.expires_at NULLS LAST, burns.cost_basis,
            burns.created_at, burns.seq
    )
    SELECT coalesce(array_agg(ROW(wallet_id, amount)::bursar_amount), '{}') FROM (
        SELECT wallet_id, sum(amount)::bigint AS amount FROM burns GROUP BY wallet_id
    ) AS sums
$$;

-- Lower the leases these sales were made under, last of all locks; answers what each wallet holds less.
CREATE FUNCTION bursar_lower_leases(p_sold bursar_sold[]) RETURNS bursar_amount[] LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    lowered bursar_amount[];
BEGIN
    PERFORM FROM hold WHERE id IN (SELECT lease_id FROM unnest(p_sold)) ORDER BY id FOR NO KEY UPDATE;
    WITH sums AS (
        SELECT lease_id, wallet_id, sum(sale)::bigint AS sale FROM unnest(p_sold)
        WHERE sale > 0 GROUP BY lease_id, wallet_id
    ), news AS (
        SELECT hold.id, hold.wallet_id, hold.amount AS old_amount, hold.burned + sums.sale AS burned,
            CASE hold.state
                WHEN 'active' THEN greatest(hold.granted - hold.burned - sums.sale, 0)
                ELSE least(hold.amount, greatest(hold.spent - hold.burned - sums.sale, 0)) END AS amount
        FROM sums JOIN hold ON hold.id = sums.lease_id AND hold.wallet_id = sums.wallet_id
    ), changed AS (
        UPDATE hold SET burned = news.burned, amount = news.amount,
            state = CASE WHEN hold.state = 'closing' AND news.amount = 0 THEN 'closed' ELSE hold.state END
        FROM news WHERE hold.id = news.id
    )
    SELECT coalesce(array_agg(ROW(wallet_id, lowered_by)::bursar_amount), '{}') INTO lowered FROM (
        SELECT wallet_id, sum(old_amount - amount)::bigint AS lowered_by FROM news GROUP BY wallet_id
    ) AS totals;
    RETURN lowered;
END $$;

-- Change wallets by facts. Overrun is what no longer fits; when it grew, leases are called back.
CREATE FUNCTION bursar_change_wallets(p_posted bursar_amount[], p_owed bursar_amount[], p_held bursar_amount[])
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH changes AS (
        SELECT wallet_id, sum(posted)::bigint AS posted, sum(owed)::bigint AS owed, sum(held)::bigint AS held
        FROM (
            SELECT wallet_id, amount AS posted, 0 AS owed, 0 AS held FROM unnest(p_posted)
            UNION ALL SELECT wallet_id, 0, amount, 0 FROM unnest(p_owed)
            UNION ALL SELECT wallet_id, 0, 0, amount FROM unnest(p_held)
        ) AS parts GROUP BY wallet_id
    ), news AS (
        SELECT wallet.id, wallet.overrun AS old_overrun, wallet.posted + changes.posted AS posted,
            wallet.owed + changes.owed AS owed, wallet.held + changes.held AS held,
            bursar_overrun(wallet.posted + changes.posted, wallet.held + changes.held,
                wallet.owed + changes.owed, wallet.credit_limit) AS overrun
        FROM changes JOIN wallet ON wallet.id = changes.wallet_id
    ), changed AS (
        UPDATE wallet SET posted = news.posted, owed = news.owed, held = news.held, overrun = news.overrun
        FROM news WHERE wallet.id = news.id
    )
    SELECT FROM (SELECT pg_notify('bursar_recall', id::text) FROM news WHERE overrun > old_overrun) AS told
$$;

-- Stamp the unposted rows of these wallets with the run, oldest first up to p_rows_max of them (a little more:
-- rows of one moment stay together). Only rows stamped here are summed. Negative sales are listed, not summed.
CREATE FUNCTION bursar_stamp(p_run bigint, p_wallets uuid[], p_rows_max integer, OUT sold bursar_sold[],
    OUT returned bursar_returned[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    newest timestamptz;
BEGIN
    SELECT started_at INTO newest FROM usage WHERE posting IS NULL AND wallet_id = ANY (p_wallets)
        ORDER BY started_at OFFSET p_rows_max - 1 LIMIT 1;
    WITH stamped AS (
        UPDATE usage SET posting = p_run
        WHERE posting IS NULL AND wallet_id = ANY (p_wallets) AND started_at <= coalesce(newest, 'infinity')
        RETURNING organisation_id, wallet_id, scope_class, lease_id, provider_id, sale, cost, request_id, attempt,
            revision
    ), sums AS (
        SELECT wallet_id, scope_class, lease_id, provider_id, sum(greatest(sale, 0))::bigint AS sale,
            sum(cost)::bigint AS cost, count(*) AS rows
        FROM stamped GROUP BY wallet_id, scope_class, lease_id, provider_id
    )
    SELECT
        ARRAY(SELECT ROW(wallet_id, scope_class, lease_id, provider_id, sale, cost, rows)::bursar_sold FROM sums),
        ARRAY(SELECT ROW(organisation_id, wallet_id, scope_class, request_id, attempt, revision,
            -sale)::bursar_returned FROM stamped WHERE sale < 0 ORDER BY wallet_id, request_id, attempt, revision)
        INTO sold, returned;
END $$;

CREATE FUNCTION bursar_entry_lines(p_sold bursar_sold[], p_burned bursar_amount[]) RETURNS bursar_line[]
LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    WITH sales AS (
        SELECT sums.wallet_id, sums.sale, coalesce(burned.amount, 0) AS burned
        FROM (SELECT wallet_id, sum(sale)::bigint AS sale FROM unnest(p_sold) GROUP BY wallet_id) AS sums
        LEFT JOIN (SELECT wallet_id, sum(amount)::bigint AS amount FROM unnest(p_burned) GROUP BY wallet_id)
            AS burned USING (wallet_id)
    ), costs AS (
        SELECT wallet_id, provider_id, sum(cost)::bigint AS cost FROM unnest(p_sold)
        GROUP BY wallet_id, provider_id
    )
    SELECT array_agg(ROW(wallet_id, kind, owner, amount)::bursar_line) FROM (
        SELECT wallet_id, 'wallet' AS kind, wallet_id AS owner, -burned AS amount FROM sales
        UNION ALL SELECT wallet_id, 'receivable', wallet_id, burned - sale FROM sales
        UNION ALL SELECT wallet_id, 'revenue', NULL, sale FROM sales
        UNION ALL SELECT wallet_id, 'provider_cost', provider_id, -cost FROM costs
        UNION ALL SELECT wallet_id, 'provider_payable', provider_id, cost FROM costs
    ) AS lines
$$;

-- Post up to p_wallets_max wallets (or p_wallet alone), about p_rows_max rows. One transaction per wallet.
-- The caller repeats until `rows` is 0. Linear in rows for the stamp, in open lots of these wallets for the burn.
CREATE FUNCTION bursar_post(p_now timestamptz, p_wallets_max integer, p_rows_max integer,
    p_wallet uuid DEFAULT NULL)
RETURNS bursar_posted LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    run bigint;
    wallets uuid[];
    sold bursar_sold[];
    returned bursar_returned[];
    scoped bursar_amount[];
    burned bursar_amount[];
    totals bursar_posted;
BEGIN
    -- Whose oldest row waits longest comes first: wallets that are always busy must not keep the others waiting.
    wallets := ARRAY(SELECT wallet_id FROM usage
        WHERE posting IS NULL AND (p_wallet IS NULL OR wallet_id = p_wallet)
        GROUP BY wallet_id ORDER BY min(started_at), wallet_id LIMIT p_wallets_max);
    IF cardinality(wallets) = 0 THEN
        RETURN ROW(NULL, 0, 0, 0, 0)::bursar_posted;
    END IF;
    PERFORM FROM wallet WHERE id = ANY (wallets) ORDER BY id FOR NO KEY UPDATE;      -- (a)
    run := nextval('posting_run');
    SELECT * INTO sold, returned FROM bursar_stamp(run, wallets, p_rows_max);        -- (b)
    INSERT INTO ledger_transaction (kind, source, organisation_id, wallet_id, asset, amount, balance_after,
            occurred_at)
        SELECT 'usage', run || ':' || wallet.id, wallet.organisation_id, wallet.id, wallet.asset, -sums.sale,
            wallet.posted - wallet.owed - sums.sale, p_now
        FROM (SELECT wallet_id, sum(sale)::bigint AS sale, bool_or(cost <> 0) AS has_cost FROM unnest(sold)
            GROUP BY wallet_id) AS sums
        JOIN wallet ON wallet.id = sums.wallet_id WHERE sums.sale > 0 OR sums.has_cost ORDER BY wallet.id;
    scoped := bursar_burn(run, ARRAY(SELECT ROW(wallet_id, scope_class, NULL, NULL, sum(sale), 0, 0)::bursar_sold
        FROM unnest(sold) WHERE sale > 0 GROUP BY wallet_id, scope_class), true, p_now);          -- (c)
    burned := scoped || bursar_burn(run, ARRAY(
        SELECT ROW(wallet_id, NULL, NULL, NULL, sum(amount), 0, 0)::bursar_sold
        FROM (SELECT wallet_id, sale AS amount FROM unnest(sold)
            UNION ALL SELECT wallet_id, -amount FROM unnest(scoped)) AS rest
        GROUP BY wallet_id HAVING sum(amount) > 0), false, p_now);                                -- (d)
    PERFORM bursar_write_entries('usage', run::text, bursar_entry_lines(sold, burned));
    -- Check the sums now instead of at commit: from here on leases are locked, and flushes wait for them.
    SET CONSTRAINTS zero_sum IMMEDIATE;
    SET CONSTRAINTS zero_sum DEFERRED;
    PERFORM bursar_change_wallets(                                                                -- (e)
        ARRAY(SELECT ROW(wallet_id, -amount)::bursar_amount FROM unnest(burned)),
        ARRAY(SELECT ROW(wallet_id, amount)::bursar_amount FROM (
            SELECT wallet_id, sale AS amount FROM unnest(sold)
            UNION ALL SELECT wallet_id, -amount FROM unnest(burned)) AS parts),
        ARRAY(SELECT ROW(wallet_id, -amount)::bursar_amount FROM unnest(bursar_lower_leases(sold)))); -- (f)
    PERFORM bursar_post_returns(returned, p_now);
    SELECT run, cardinality(wallets), coalesce(sum(rows), 0), coalesce(sum(sale), 0), coalesce(sum(cost), 0)
        INTO totals FROM unnest(sold);
    RETURN totals;
END $$;
