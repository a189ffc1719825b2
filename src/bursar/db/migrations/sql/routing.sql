-- Deployments, strategies, and what gateways say of the providers' health.

-- The API knows the provider types there are; the database only what a type's name looks like.
ALTER TABLE provider DROP CONSTRAINT provider_kind_check;
ALTER TABLE provider ADD CONSTRAINT provider_kind_check CHECK (kind ~ '^[a-z][a-z0-9_]{0,39}$');

-- region: where it answers, for its routes that name none. breaker: when its deployments are passed over
-- (failures_percent, calls_min, open_ms); absent members are the gateway's own.
ALTER TABLE provider ADD COLUMN region text CHECK (region ~ '^[a-z0-9][a-z0-9-]{0,39}$');
ALTER TABLE provider ADD COLUMN breaker jsonb NOT NULL DEFAULT '{}';

ALTER TABLE provider_credential ADD CONSTRAINT provider_credential_id_provider_key UNIQUE (id, provider_id);

-- strategy: in which order deployments are tried. fallbacks: models asked instead when none of this one answers,
-- first to last. min_margin_percent: sale over cost below which nothing is routed (NULL: the setting
-- 'min_margin_percent', and if there is none, no floor).
ALTER TABLE model ADD COLUMN strategy text NOT NULL DEFAULT 'priority'
    CHECK (strategy IN ('priority', 'weighted', 'least_latency', 'cheapest'));
ALTER TABLE model ADD COLUMN fallbacks text[] NOT NULL DEFAULT '{}' CHECK (cardinality(fallbacks) <= 8);
ALTER TABLE model ADD COLUMN min_margin_percent numeric(9, 4) CHECK (min_margin_percent > -100);

-- A route is a deployment: a model at a provider, with one of its credentials (NULL: any), in a region
-- (NULL: the provider's). Its own min_margin_percent goes before the model's.
ALTER TABLE route ADD COLUMN credential_id uuid;
ALTER TABLE route ADD COLUMN region text CHECK (region ~ '^[a-z0-9][a-z0-9-]{0,39}$');
ALTER TABLE route ADD COLUMN min_margin_percent numeric(9, 4) CHECK (min_margin_percent > -100);
ALTER TABLE route ADD CONSTRAINT route_credential_fkey
    FOREIGN KEY (credential_id, provider_id) REFERENCES provider_credential (id, provider_id);
ALTER TABLE route DROP CONSTRAINT route_model_provider_key;
ALTER TABLE route ADD CONSTRAINT route_model_provider_key
    UNIQUE NULLS NOT DISTINCT (model_id, provider_id, provider_model, credential_id, region);
CREATE INDEX route_credential_id_idx ON route (credential_id) WHERE credential_id IS NOT NULL;

-- What each gateway process last said of each deployment it uses. At most 500 rows a process; old ones go with
-- the next report. Neither money nor history: it may be lost.
CREATE TABLE provider_health (
    process_id uuid NOT NULL,
    route_id uuid NOT NULL,
    credential_id uuid NOT NULL,
    provider_id uuid NOT NULL,
    model text NOT NULL,
    breaker text NOT NULL CHECK (breaker IN ('closed', 'open', 'half_open')),
    calls integer NOT NULL,
    failures integer NOT NULL,
    latency_ms integer,
    cooling_until timestamptz,
    reported_at timestamptz NOT NULL,
    PRIMARY KEY (process_id, route_id, credential_id)
);
CREATE INDEX provider_health_provider_id_idx ON provider_health (provider_id, reported_at);

-- A provider refused one of our credentials (kind: auth, billing): it stays out of rotation until it is changed
-- or long has passed. ended_at: it was changed, or it served again.
CREATE TABLE credential_refusal (
    credential_id uuid PRIMARY KEY,
    provider_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('auth', 'billing')),
    upstream_status integer NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    told_at timestamptz NOT NULL,
    ended_at timestamptz
);

GRANT SELECT ON provider_health, credential_refusal TO bursar_operator, bursar_worker;

-- Replace what a process said before. p_rows: objects with the columns of provider_health, times included.
CREATE FUNCTION bursar_report_health(p_process uuid, p_rows json, p_now timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM provider_health WHERE process_id = p_process OR reported_at < p_now - interval '10 minutes';
    INSERT INTO provider_health (process_id, route_id, credential_id, provider_id, model, breaker, calls,
        failures, latency_ms, cooling_until, reported_at)
    SELECT p_process, route_id, credential_id, provider_id, model, breaker, calls, failures, latency_ms,
        p_now + cooling_ms * interval '1 millisecond', p_now
    FROM json_to_recordset(p_rows) AS said (route_id uuid, credential_id uuid, provider_id uuid, model text,
        breaker text, calls integer, failures integer, latency_ms integer, cooling_ms bigint)
    LIMIT 500
    ON CONFLICT DO NOTHING;
    -- Calls are those of the last seconds, without refusals: one that served since it was refused serves again.
    UPDATE credential_refusal SET ended_at = p_now
    WHERE ended_at IS NULL AND last_at < p_now - interval '1 minute' AND credential_id IN (
        SELECT credential_id FROM json_to_recordset(p_rows)
            AS said (credential_id uuid, calls integer, failures integer)
        WHERE calls > failures);
END $$;

-- Note that a credential was refused; the operator hears of it once an hour (event 'credential.refused').
CREATE FUNCTION bursar_credential_refused(p_credential uuid, p_provider uuid, p_kind text, p_status integer,
    p_now timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    due boolean;
BEGIN
    INSERT INTO credential_refusal (credential_id, provider_id, kind, upstream_status, first_at, last_at, told_at)
    VALUES (p_credential, p_provider, p_kind, p_status, p_now, p_now, p_now)
    ON CONFLICT (credential_id) DO NOTHING;
    due := FOUND;
    IF NOT due THEN
        UPDATE credential_refusal SET kind = p_kind, upstream_status = p_status, last_at = p_now, told_at = p_now,
            first_at = CASE WHEN ended_at IS NULL THEN first_at ELSE p_now END, ended_at = NULL
        WHERE credential_id = p_credential AND told_at <= p_now - interval '1 hour';
        due := FOUND;
    END IF;
    IF due THEN
        INSERT INTO outbox (topic, payload, created_at, due_at)
        VALUES ('credential.refused', jsonb_build_object('credential_id', p_credential, 'provider_id', p_provider,
            'kind', p_kind, 'upstream_status', p_status), p_now, p_now);
    ELSE
        UPDATE credential_refusal SET kind = p_kind, upstream_status = p_status, last_at = p_now,
            first_at = CASE WHEN ended_at IS NULL THEN first_at ELSE p_now END, ended_at = NULL
        WHERE credential_id = p_credential;
    END IF;
END $$;

-- The provider takes it again. Nothing to do for one that was never refused.
CREATE FUNCTION bursar_credential_accepted(p_credential uuid, p_now timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE credential_refusal SET ended_at = p_now WHERE credential_id = p_credential AND ended_at IS NULL
$$;

-- An operator who touches a credential has dealt with it: gateways see its row's new version and try it again.
CREATE FUNCTION bursar_credential_changed() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE credential_refusal SET ended_at = clock_timestamp()
    WHERE credential_id = new.id AND ended_at IS NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER credential_changed AFTER UPDATE ON provider_credential
    FOR EACH ROW EXECUTE FUNCTION bursar_credential_changed();

REVOKE ALL ON FUNCTION bursar_report_health, bursar_credential_refused, bursar_credential_accepted,
    bursar_credential_changed FROM public;
GRANT EXECUTE ON FUNCTION bursar_report_health, bursar_credential_refused, bursar_credential_accepted
    TO bursar_gateway;
