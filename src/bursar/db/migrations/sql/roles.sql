-- Roles are cluster-wide, so they may exist already. None can log in: programs connect as whoever the
-- operator likes and take one of these with `-c role=…`; an external login must be a member of them.
--   bursar_owner     owns every table and function
--   bursar_api       control plane for customers: sees one organisation at a time
--   bursar_operator  control plane for the operator: the api switches to it with SET LOCAL ROLE
--   bursar_gateway   reads the snapshot, calls the lease and flush functions, writes nothing itself
--   bursar_worker    posts, sweeps, imports, checks
DO $roles$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['bursar_owner', 'bursar_api', 'bursar_operator', 'bursar_gateway', 'bursar_worker']
    LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- made by another database of this cluster, perhaps this very moment
        END;
        IF NOT pg_has_role(current_user, wanted, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO %I', wanted, current_user);
        END IF;
    END LOOP;
END
$roles$;

GRANT bursar_operator TO bursar_api WITH INHERIT FALSE, SET TRUE;
GRANT USAGE, CREATE ON SCHEMA public TO bursar_owner;
GRANT USAGE ON SCHEMA public TO bursar_api, bursar_operator, bursar_gateway, bursar_worker;
