-- Stored responses: what an organisation asked to be kept of its answers, so that later requests may refer to them.

-- store_responses: answers are kept unless the request says otherwise. Nothing is kept before an operator says so.
ALTER TABLE organisation ADD COLUMN store_responses boolean NOT NULL DEFAULT false;

-- sealed: input and answer, AES-256-GCM under a key of this row's own, see bursar.db.responses. Nobody reads this
-- table but the functions below: a gateway gets what it can name, of one organisation at a time.
CREATE TABLE stored_response (
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    id text NOT NULL CHECK (length(id) BETWEEN 1 AND 128),
    previous_id text CHECK (length(previous_id) BETWEEN 1 AND 128),
    sealed bytea NOT NULL CHECK (octet_length(sealed) <= 34000000),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
    PRIMARY KEY (organisation_id, id)
);
CREATE INDEX stored_response_expires_at_idx ON stored_response (expires_at);

ALTER TABLE stored_response ENABLE ROW LEVEL SECURITY;
ALTER TABLE stored_response FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON stored_response TO bursar_api
    USING (organisation_id = (SELECT nullif(current_setting('bursar.organisation', true), '')::uuid));
CREATE POLICY all_tenants ON stored_response TO bursar_owner USING (true) WITH CHECK (true);

-- False: this id is taken. What was kept is never written over.
CREATE FUNCTION bursar_keep_response(
    p_organisation uuid, p_id text, p_previous text, p_sealed bytea, p_created timestamptz, p_expires timestamptz
) RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH kept AS (
        INSERT INTO stored_response (organisation_id, id, previous_id, sealed, created_at, expires_at)
        VALUES (p_organisation, p_id, p_previous, p_sealed, p_created, p_expires)
        ON CONFLICT DO NOTHING
        RETURNING id
    )
    SELECT EXISTS (SELECT FROM kept)
$$;

-- A response and those it continues, newest first, p_most of them at most. The last one's previous_id is null when
-- the chain is whole. Sealed is null everywhere when all of them together are longer than p_bytes.
CREATE FUNCTION bursar_response_chain(
    p_organisation uuid, p_id text, p_most integer, p_bytes bigint, p_now timestamptz
) RETURNS TABLE (id text, previous_id text, sealed bytea) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH RECURSIVE chain AS (
        SELECT r.id, r.previous_id, 1 AS depth, octet_length(r.sealed)::bigint AS bytes
        FROM stored_response AS r
        WHERE r.organisation_id = p_organisation AND r.id = p_id AND r.expires_at > p_now
        UNION ALL
        SELECT r.id, r.previous_id, c.depth + 1, c.bytes + octet_length(r.sealed)
        FROM chain AS c
        JOIN stored_response AS r ON r.organisation_id = p_organisation AND r.id = c.previous_id
            AND r.expires_at > p_now
        WHERE c.depth < p_most AND c.bytes <= p_bytes
    )
    SELECT c.id, c.previous_id, CASE WHEN (SELECT max(bytes) FROM chain) <= p_bytes THEN r.sealed END
    FROM chain AS c
    JOIN stored_response AS r ON r.organisation_id = p_organisation AND r.id = c.id
    ORDER BY c.depth
$$;

CREATE FUNCTION bursar_forget_response(p_organisation uuid, p_id text, p_now timestamptz)
RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH gone AS (
        DELETE FROM stored_response
        WHERE organisation_id = p_organisation AND id = p_id
        RETURNING expires_at > p_now AS lived
    )
    SELECT EXISTS (SELECT FROM gone WHERE lived)
$$;

-- How many expired responses were deleted, p_most at most; those another worker is deleting are passed over.
CREATE FUNCTION bursar_purge_responses(p_now timestamptz, p_most integer)
RETURNS integer LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH expired AS (
        SELECT organisation_id, id FROM stored_response
        WHERE expires_at <= p_now ORDER BY expires_at LIMIT p_most FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM stored_response AS r USING expired AS e
        WHERE r.organisation_id = e.organisation_id AND r.id = e.id
        RETURNING 1
    )
    SELECT count(*)::integer FROM gone
$$;

REVOKE ALL ON FUNCTION bursar_keep_response, bursar_response_chain, bursar_forget_response, bursar_purge_responses
    FROM public;
GRANT EXECUTE ON FUNCTION bursar_keep_response, bursar_response_chain, bursar_forget_response TO bursar_gateway;
GRANT EXECUTE ON FUNCTION bursar_purge_responses TO bursar_worker;
