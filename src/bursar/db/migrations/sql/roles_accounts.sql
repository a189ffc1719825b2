-- bursar_accounts, as roles.sql makes the others.
DO $roles$
BEGIN
    BEGIN
        CREATE ROLE bursar_accounts NOLOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;  -- made by another database of this cluster, perhaps this very moment
    END;
    IF NOT pg_has_role(current_user, 'bursar_accounts', 'MEMBER') THEN
        GRANT bursar_accounts TO current_user;
    END IF;
END
$roles$;

GRANT bursar_accounts TO bursar_api WITH INHERIT FALSE, SET TRUE;
