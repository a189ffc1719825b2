-- Quotas and budgets: whatever is limited by the day or longer. Rates are not stored, only their limits are.

ALTER TABLE organisation ADD COLUMN limits jsonb NOT NULL DEFAULT '{}';
ALTER TABLE api_key ADD COLUMN allowed_addresses text[];
ALTER TABLE provider_credential ADD COLUMN limits jsonb NOT NULL DEFAULT '{}';

-- Of an organisation, one of its keys (also narrowed to models or a provider), or a provider's credential.
-- amount: in units of the asset, requests or tokens, for each period (UTC).
ALTER TABLE budget ALTER COLUMN organisation_id DROP NOT NULL;
ALTER TABLE budget ALTER COLUMN asset DROP NOT NULL;
ALTER TABLE budget ADD COLUMN unit text NOT NULL DEFAULT 'money' CHECK (unit IN ('money', 'requests', 'tokens'));
ALTER TABLE budget ADD COLUMN credential_id uuid REFERENCES provider_credential (id);
ALTER TABLE budget ADD COLUMN provider_id uuid REFERENCES provider (id);
ALTER TABLE budget ADD COLUMN model text;
ALTER TABLE budget ADD CONSTRAINT budget_has_one_subject CHECK ((organisation_id IS NULL) = (credential_id IS NOT NULL));
ALTER TABLE budget ADD CONSTRAINT budget_narrows_a_key
    CHECK (api_key_id IS NOT NULL OR (provider_id IS NULL AND model IS NULL));
ALTER TABLE budget ADD CONSTRAINT budget_money_has_an_asset CHECK ((unit = 'money') = (asset IS NOT NULL));
CREATE INDEX budget_credential_id_idx ON budget (credential_id);
CREATE INDEX budget_provider_id_idx ON budget (provider_id);

-- granted: what the process was given of the period; spent: what it used, as it last said. What the budget has
-- promised is the sum of greatest(granted, spent), whether the process lives or not: of one that crashed nobody
-- knows what is still in its spool. op: the last numbered operation.
ALTER TABLE budget_slice ALTER COLUMN organisation_id DROP NOT NULL;
ALTER TABLE budget_slice ADD COLUMN op bigint NOT NULL DEFAULT 0;

CREATE TYPE bursar_budget_state AS (budget_id uuid, period_start_ms bigint, granted bigint, spent bigint,
    unpromised bigint, state text);

CREATE FUNCTION bursar_budget_left(p_budget uuid, p_period_start timestamptz) RETURNS bigint
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT amount - coalesce((SELECT sum(greatest(granted, spent)) FROM budget_slice
        WHERE budget_id = p_budget AND period_start = p_period_start), 0)::bigint
    FROM budget WHERE id = p_budget
$$;

-- The slices named in p_asks, opened when new, with what the process says it spent. Answers those this operation
-- is news to. Locks: the process by the caller, budgets by id, then their slices.
CREATE FUNCTION bursar_open_slices(p_op bigint, p_process uuid, p_asks json) RETURNS SETOF budget_slice
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM FROM budget WHERE id IN (SELECT (ask ->> 'budget_id')::uuid FROM json_array_elements(p_asks) AS ask)
        ORDER BY id FOR NO KEY UPDATE;
    INSERT INTO budget_slice (budget_id, period_start, process_id, organisation_id, granted)
        SELECT budget.id, to_timestamp((ask ->> 'period_start_ms')::bigint / 1000.0), p_process,
            budget.organisation_id, 0
        FROM json_array_elements(p_asks) AS ask JOIN budget ON budget.id = (ask ->> 'budget_id')::uuid
        ORDER BY budget.id
        ON CONFLICT DO NOTHING;
    RETURN QUERY UPDATE budget_slice AS slice
        SET spent = greatest(slice.spent, (ask ->> 'spent')::bigint), op = p_op
        FROM json_array_elements(p_asks) AS ask
        WHERE slice.budget_id = (ask ->> 'budget_id')::uuid AND slice.process_id = p_process
            AND slice.period_start = to_timestamp((ask ->> 'period_start_ms')::bigint / 1000.0)
            AND slice.op < p_op
        RETURNING slice.*;
END $$;

CREATE FUNCTION bursar_slice_states(p_process uuid, p_asks json, p_state text) RETURNS SETOF bursar_budget_state
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT slice.budget_id, (ask ->> 'period_start_ms')::bigint, slice.granted, slice.spent,
        bursar_budget_left(slice.budget_id, slice.period_start), p_state
    FROM json_array_elements(p_asks) AS ask
    JOIN budget_slice AS slice ON slice.budget_id = (ask ->> 'budget_id')::uuid AND slice.process_id = p_process
        AND slice.period_start = to_timestamp((ask ->> 'period_start_ms')::bigint / 1000.0)
    ORDER BY slice.budget_id
$$;

-- Take from all budgets in p_asks or from none: at least `need` each, up to `want` and a twentieth of what is left.
-- p_asks: [{"budget_id", "period_start_ms", "spent", "need", "want"}, …]; spent is cumulative. An operation older
-- than the last one changes nothing. Answers 'active', 'refused', or 'dead' when the process is closed.
CREATE FUNCTION bursar_take_budgets(p_op bigint, p_process uuid, p_asks json) RETURNS SETOF bursar_budget_state
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    news json;
    is_enough boolean;
BEGIN
    PERFORM FROM process WHERE id = p_process AND state = 'alive' FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN NEXT ROW(NULL, 0, 0, 0, 0, 'dead')::bursar_budget_state;
        RETURN;
    END IF;
    SELECT json_agg(json_build_object('budget_id', slice.budget_id, 'period_start', slice.period_start,
            'overdrawn', greatest(slice.spent - slice.granted, 0), 'need', (ask ->> 'need')::bigint,
            'want', (ask ->> 'want')::bigint))
        INTO news
        FROM bursar_open_slices(p_op, p_process, p_asks) AS slice
        JOIN json_array_elements(p_asks) AS ask ON slice.budget_id = (ask ->> 'budget_id')::uuid
            AND slice.period_start = to_timestamp((ask ->> 'period_start_ms')::bigint / 1000.0);
    -- Only now, in a statement that began under the budgets' locks, are other processes' slices to be seen.
    -- What was spent beyond the grant is promised already: granting it adds nothing. Nothing new: nothing granted.
    SELECT coalesce(bool_and(need <= bursar_budget_left(budget_id, period_start) + overdrawn), false)
        INTO is_enough
        FROM json_to_recordset(news) AS one (budget_id uuid, period_start timestamptz, need bigint,
            overdrawn bigint);
    IF is_enough THEN
        UPDATE budget_slice AS slice SET granted = slice.granted + greatest(one.need, least(one.want,
                bursar_budget_left(slice.budget_id, slice.period_start) / 20))
        FROM json_to_recordset(news) AS one (budget_id uuid, period_start timestamptz, need bigint, want bigint)
        WHERE slice.budget_id = one.budget_id AND slice.period_start = one.period_start
            AND slice.process_id = p_process;
    END IF;
    RETURN QUERY SELECT * FROM bursar_slice_states(p_process, p_asks,
        CASE WHEN is_enough THEN 'active' ELSE 'refused' END);
END $$;

-- Give back: p_asks as above with `amount` instead of need and want. Never below what was spent; a process that
-- was closed may give too, of what it held before.
CREATE FUNCTION bursar_give_budgets(p_op bigint, p_process uuid, p_asks json) RETURNS SETOF bursar_budget_state
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    given json;
BEGIN
    SELECT json_agg(json_build_object('budget_id', slice.budget_id, 'period_start', slice.period_start,
            'amount', least((ask ->> 'amount')::bigint, greatest(slice.granted - slice.spent, 0))))
        INTO given
        FROM bursar_open_slices(p_op, p_process, p_asks) AS slice
        JOIN json_array_elements(p_asks) AS ask ON slice.budget_id = (ask ->> 'budget_id')::uuid
            AND slice.period_start = to_timestamp((ask ->> 'period_start_ms')::bigint / 1000.0);
    UPDATE budget_slice AS slice SET granted = slice.granted - less.amount
        FROM json_to_recordset(given) AS less (budget_id uuid, period_start timestamptz, amount bigint)
        WHERE slice.budget_id = less.budget_id AND slice.period_start = less.period_start
            AND slice.process_id = p_process AND less.amount > 0;
    RETURN QUERY SELECT * FROM bursar_slice_states(p_process, p_asks, 'active');
END $$;

-- Gateways load budgets with their snapshot; what a budget's change makes too much is called back.
CREATE TRIGGER tell_changed AFTER INSERT OR UPDATE OR DELETE ON budget
    FOR EACH ROW EXECUTE FUNCTION bursar_tell_changed('id');

CREATE FUNCTION bursar_recall_budget() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('bursar_recall', 'budget:' || new.id);
    RETURN NULL;
END $$;
CREATE TRIGGER recall AFTER UPDATE OF amount ON budget FOR EACH ROW
    WHEN (new.amount < old.amount) EXECUTE FUNCTION bursar_recall_budget();

REVOKE ALL ON FUNCTION bursar_budget_left, bursar_open_slices, bursar_slice_states, bursar_take_budgets,
    bursar_give_budgets, bursar_recall_budget FROM public;
GRANT EXECUTE ON FUNCTION bursar_take_budgets, bursar_give_budgets TO bursar_gateway, bursar_worker;
GRANT EXECUTE ON FUNCTION bursar_budget_left TO bursar_api, bursar_operator, bursar_gateway, bursar_worker;
GRANT SELECT ON budget, budget_slice TO bursar_gateway;
GRANT SELECT (limits) ON provider_credential TO bursar_operator, bursar_worker;
