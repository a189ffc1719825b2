-- Processes and their leases. Called by the gateway; SECURITY DEFINER, so the gateway needs no write grant.
-- Locks, everywhere and in this order: process, wallets, usage, marks, lots, leases; rows of one kind by id.
-- Usage comes before leases because a replayed insert waits for the posting that stamps the same row, and a
-- posting locks leases last: a flush that held leases while it waits would close a circle.

CREATE FUNCTION bursar_overrun(p_posted bigint, p_held bigint, p_owed bigint, p_credit_limit bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN greatest(0, p_owed + p_held - p_posted - p_credit_limit);

-- What stands behind holds of one scope class: `slack` is general money that no hold leans on, `own` the
-- class's own lots less its holds. A grant counts lots in force; what may leave a wallet counts expired,
-- unbroken lots too. Grows with the wallet's open lots and holds. The caller holds the wallet's lock.
CREATE FUNCTION bursar_cover(p_wallet uuid, p_scope_class text, p_now timestamptz, p_count_expired boolean,
    OUT slack bigint, OUT own bigint)
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    WITH lots AS (
        SELECT scope_class, sum(remaining)::bigint AS remaining FROM credit_lot
        WHERE wallet_id = p_wallet AND is_open AND effective_at <= p_now
            AND (p_count_expired OR expires_at IS NULL OR expires_at > p_now)
        GROUP BY scope_class
    ), holds AS (
        SELECT scope_class, sum(amount)::bigint AS amount FROM hold
        WHERE wallet_id = p_wallet AND state <> 'closed' GROUP BY scope_class
    ), classes AS (
        SELECT scope_class, coalesce(holds.amount, 0) AS held, coalesce(lots.remaining, 0) AS scoped
        FROM holds FULL JOIN (SELECT * FROM lots WHERE scope_class IS NOT NULL) AS lots USING (scope_class)
    )
    SELECT
        (wallet.credit_limit - wallet.owed
            + coalesce((SELECT remaining FROM lots WHERE scope_class IS NULL), 0)
            - coalesce((SELECT sum(greatest(0, held - scoped)) FROM classes), 0))::bigint,
        coalesce((SELECT (scoped - held)::bigint FROM classes WHERE scope_class = p_scope_class), 0)
    FROM wallet WHERE wallet.id = p_wallet
$$;

-- The most that may be granted to, or leave, this scope (null: general) without uncovering a hold or a debt.
CREATE FUNCTION bursar_grantable(p_wallet uuid, p_scope_class text, p_now timestamptz, p_count_expired boolean)
RETURNS bigint LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT CASE WHEN slack < 0 THEN 0
        WHEN p_scope_class IS NULL THEN slack
        ELSE slack + greatest(own, 0) END
    FROM bursar_cover(p_wallet, p_scope_class, p_now, p_count_expired)
$$;

CREATE FUNCTION bursar_open_process(p_process uuid, p_kind text, p_host text) RETURNS void LANGUAGE sql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO process (id, kind, host, started_at, last_beat_at)
    VALUES (p_process, p_kind, p_host, clock_timestamp(), clock_timestamp())
    ON CONFLICT (id) DO NOTHING
$$;

-- False: this process was closed (or never opened) and must not admit another request.
CREATE FUNCTION bursar_beat(p_process uuid) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE process SET last_beat_at = clock_timestamp() WHERE id = p_process AND state = 'alive';
    RETURN FOUND;
END $$;

CREATE TYPE bursar_grant AS (lease_id uuid, op bigint, granted bigint, spendable bigint, state text);

-- The answer an operation got before, if it was done already: the same for the same number, and what stands
-- now for an older one, whose asker gave up on it.
CREATE FUNCTION bursar_answer_again(p_lease hold, p_op bigint) RETURNS bursar_grant LANGUAGE sql IMMUTABLE
RETURN CASE
    WHEN (p_lease).op = p_op THEN
        ROW((p_lease).id, p_op, (p_lease).op_granted, (p_lease).op_spendable, (p_lease).op_state)::bursar_grant
    WHEN (p_lease).op > p_op THEN
        ROW((p_lease).id, p_op, (p_lease).granted, (p_lease).op_spendable, (p_lease).state)::bursar_grant
END;

-- Take money into the active lease of (process, wallet, scope class), opening one when there is none:
-- at least p_need, up to p_want, 5 % of what may be granted and a lease of p_cap; else nothing ('refused').
CREATE FUNCTION bursar_take(p_op bigint, p_process uuid, p_wallet uuid, p_organisation uuid,
    p_scope_class text, p_need bigint, p_want bigint, p_cap bigint, p_now timestamptz)
RETURNS bursar_grant LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    lease hold;
    room bigint;
    extra bigint;
    new_amount bigint;
BEGIN
    IF p_need < 1 OR p_op < 1 THEN
        RAISE EXCEPTION 'take % of %: both start at 1', p_op, p_need USING ERRCODE = 'BU003';
    END IF;
    PERFORM FROM process WHERE id = p_process AND state = 'alive' FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN ROW(NULL, p_op, 0, 0, 'dead')::bursar_grant;
    END IF;
    PERFORM FROM wallet WHERE id = p_wallet AND organisation_id = p_organisation FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'organisation % has no wallet %', p_organisation, p_wallet USING ERRCODE = 'BU004';
    END IF;
    SELECT * INTO lease FROM hold WHERE process_id = p_process AND wallet_id = p_wallet
        AND scope_class = p_scope_class AND (state = 'active' OR op < p_op)
        ORDER BY state = 'active' DESC, created_at DESC LIMIT 1 FOR NO KEY UPDATE;
    IF lease.op >= p_op THEN
        RETURN bursar_answer_again(lease, p_op);
    ELSIF lease.state <> 'active' THEN
        RETURN ROW(lease.id, p_op, lease.granted, 0, lease.state)::bursar_grant;
    END IF;
    room := bursar_grantable(p_wallet, p_scope_class, p_now, false);
    -- What was burned beyond the grant is gone already: granting it again promises nothing.
    extra := greatest(p_need, least(p_want, room / 20, p_cap - coalesce(lease.amount, 0)));
    extra := least(extra, room + greatest(coalesce(lease.burned - lease.granted, 0), 0));
    IF extra < p_need THEN
        UPDATE hold SET op = p_op, op_granted = granted, op_spendable = room, op_state = 'refused'
            WHERE id = lease.id;
        RETURN ROW(lease.id, p_op, coalesce(lease.granted, 0), room, 'refused')::bursar_grant;
    END IF;
    IF lease.id IS NULL THEN
        INSERT INTO hold (id, organisation_id, wallet_id, kind, scope_class, process_id, amount, created_at)
            VALUES (gen_random_uuid(), p_organisation, p_wallet, 'lease', p_scope_class, p_process, 0,
                clock_timestamp())
            RETURNING * INTO lease;
    END IF;
    new_amount := greatest(lease.granted + extra - lease.burned, 0);
    room := room - (new_amount - lease.amount);
    -- A grant never touches overrun: wallet_funds_cover_promises refuses it if the sums above were wrong.
    UPDATE wallet SET held = held + new_amount - lease.amount WHERE id = p_wallet;
    UPDATE hold SET granted = granted + extra, amount = new_amount,
            op = p_op, op_granted = granted + extra, op_spendable = room, op_state = 'active'
        WHERE id = lease.id;
    RETURN ROW(lease.id, p_op, lease.granted + extra, room, 'active')::bursar_grant;
END $$;

-- Give unused money back. The process stopped counting on it before it asked; flushed spending stays covered.
CREATE FUNCTION bursar_give(p_op bigint, p_process uuid, p_lease uuid, p_wallet uuid, p_amount bigint,
    p_now timestamptz)
RETURNS bursar_grant LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    lease hold;
    less bigint;
    new_amount bigint;
    room bigint;
BEGIN
    IF p_amount < 0 THEN
        RAISE EXCEPTION 'cannot give back %', p_amount USING ERRCODE = 'BU003';
    END IF;
    PERFORM FROM wallet WHERE id = p_wallet FOR NO KEY UPDATE;
    SELECT * INTO lease FROM hold WHERE id = p_lease AND process_id = p_process AND wallet_id = p_wallet
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'process % has no lease % on wallet %', p_process, p_lease, p_wallet
            USING ERRCODE = 'BU004';
    ELSIF lease.state <> 'active' THEN
        RETURN ROW(lease.id, p_op, lease.granted, 0, lease.state)::bursar_grant;
    ELSIF lease.op >= p_op THEN
        RETURN bursar_answer_again(lease, p_op);
    END IF;
    less := least(p_amount, greatest(lease.granted - lease.spent, 0));
    new_amount := greatest(lease.granted - less - lease.burned, 0);
    UPDATE wallet SET held = held - (lease.amount - new_amount),
            overrun = bursar_overrun(posted, held - (lease.amount - new_amount), owed, credit_limit)
        WHERE id = p_wallet;
    UPDATE hold SET granted = granted - less, amount = new_amount WHERE id = lease.id;
    room := bursar_grantable(p_wallet, lease.scope_class, p_now, false);
    UPDATE hold SET op = p_op, op_granted = granted, op_spendable = room, op_state = 'active'
        WHERE id = lease.id;
    RETURN ROW(lease.id, p_op, lease.granted - less, room, 'active')::bursar_grant;
END $$;
