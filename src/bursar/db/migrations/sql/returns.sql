-- Sales taken back: by a revision that came out cheaper, or by decision.

-- Return p_amount to a wallet whose lock the caller holds: debt first, then the lots that the transactions
-- p_burned_by burned, last burned first, at most what of each was not returned yet; what neither takes (the debt
-- was repaid since) becomes a general lot. Only general lots and lots of p_scope_class: money that paid for
-- text never comes back as image credit. Writes the transaction's entries. Grows with those burns.
CREATE FUNCTION bursar_return_sale(p_transaction bigint, p_burned_by bigint[], p_scope_class text,
    p_amount bigint, p_now timestamptz)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    txn ledger_transaction;
    forgiven bigint;
    left_over bigint;
    burn record;
    part bigint;
BEGIN
    SELECT * INTO txn FROM ledger_transaction WHERE id = p_transaction;
    SELECT least(p_amount, owed) INTO forgiven FROM wallet WHERE id = txn.wallet_id;
    left_over := p_amount - forgiven;
    FOR burn IN
        SELECT taken.lot_id, taken.transaction_id, max(taken.id) AS newest, sum(taken.amount)::bigint
            + coalesce((SELECT sum(amount) FROM lot_consumption AS back
                WHERE back.returns_of = taken.transaction_id AND back.lot_id = taken.lot_id), 0)::bigint AS unreturned
        FROM lot_consumption AS taken JOIN credit_lot AS lot ON lot.id = taken.lot_id
        WHERE taken.transaction_id = ANY (p_burned_by) AND lot.wallet_id = txn.wallet_id AND taken.amount > 0
            AND (lot.scope_class IS NULL OR lot.scope_class = p_scope_class)
        GROUP BY taken.lot_id, taken.transaction_id ORDER BY newest DESC
    LOOP
        part := least(left_over, burn.unreturned);
        CONTINUE WHEN part <= 0;
        UPDATE credit_lot SET remaining = remaining + part WHERE id = burn.lot_id;
        INSERT INTO lot_consumption (lot_id, transaction_id, organisation_id, amount, returns_of)
            VALUES (burn.lot_id, txn.id, txn.organisation_id, -part, burn.transaction_id);
        left_over := left_over - part;
    END LOOP;
    IF left_over > 0 THEN
        INSERT INTO credit_lot (id, wallet_id, organisation_id, transaction_id, kind, effective_at, created_at,
                original, remaining)
            VALUES (md5('refund:' || txn.id)::uuid, txn.wallet_id, txn.organisation_id, txn.id, 'refund', p_now,
                p_now, left_over, left_over);
    END IF;
    PERFORM bursar_write_entries(txn.kind, regexp_replace(txn.source, ':[^:]*$', ''), ARRAY[
        ROW(txn.wallet_id, 'revenue', NULL, -p_amount)::bursar_line,
        ROW(txn.wallet_id, 'receivable', txn.wallet_id, forgiven)::bursar_line,
        ROW(txn.wallet_id, 'wallet', txn.wallet_id, p_amount - forgiven)::bursar_line]);
    PERFORM bursar_change_wallets(ARRAY[ROW(txn.wallet_id, p_amount - forgiven)::bursar_amount],
        ARRAY[ROW(txn.wallet_id, -forgiven)::bursar_amount], '{}');
END $$;

-- The moment inside a UUIDv7, which is the started_at of its usage rows.
CREATE FUNCTION bursar_time_of(p_request uuid) RETURNS timestamptz LANGUAGE sql IMMUTABLE
RETURN to_timestamp(('x' || left(replace(p_request::text, '-', ''), 12))::bit(48)::bigint / 1000.0);

-- The ledger transactions that posted the earlier revisions of an attempt.
CREATE FUNCTION bursar_postings_of(p_organisation uuid, p_request uuid, p_attempt smallint, p_wallet uuid)
RETURNS bigint[] LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT ARRAY(SELECT txn.id FROM usage JOIN ledger_transaction AS txn
            ON txn.kind = 'usage' AND txn.source = usage.posting || ':' || usage.wallet_id
        WHERE usage.organisation_id = p_organisation AND usage.request_id = p_request
            AND usage.started_at = bursar_time_of(p_request) AND usage.attempt = p_attempt
            AND usage.wallet_id = p_wallet AND usage.sale > 0)
$$;

-- Rows whose sale is negative (a final row that came out cheaper than its mark): each is a return to the lots of
-- the posting it corrects. Rare, so row by row.
CREATE FUNCTION bursar_post_returns(p_returned bursar_returned[], p_now timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    row bursar_returned;
    transaction_id bigint;
BEGIN
    FOREACH row IN ARRAY p_returned LOOP
        INSERT INTO ledger_transaction (kind, source, organisation_id, wallet_id, asset, amount, balance_after,
                occurred_at, request_id, attempt)
            SELECT 'usage_revision', concat_ws(':', row.request_id, row.attempt, row.revision, row.wallet_id),
                organisation_id, id, asset, row.amount, posted - owed + row.amount, p_now, row.request_id,
                row.attempt
            FROM wallet WHERE id = row.wallet_id
            RETURNING id INTO transaction_id;
        PERFORM bursar_return_sale(transaction_id,
            bursar_postings_of(row.organisation_id, row.request_id, row.attempt, row.wallet_id),
            row.scope_class, row.amount, p_now);
    END LOOP;
END $$;
