-- Forgetting people and organisations. Rows that others need stay under ids that name nobody any more: the ledger,
-- usage, the audit log, whose chain holds without what is personal (see audit.sql). A table that gets a person's
-- name or address later is added here, by a migration that replaces the function; the test that looks for a
-- forgotten person in every column of every table fails until then.

-- Remove what is personal from the entries named, and say so in the log; answers how many parts went.
CREATE FUNCTION bursar_erase_audit(p_actors bigint[], p_rows bigint[], p_subject text, p_subject_id uuid,
    p_organisation uuid, p_person uuid) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    actors integer;
    rows integer;
BEGIN
    UPDATE audit_entry SET actor_part = NULL, actor_salt = NULL
    WHERE id = ANY (p_actors) AND actor_part IS NOT NULL;
    GET DIAGNOSTICS actors = ROW_COUNT;
    UPDATE audit_entry SET row_part = NULL, row_salt = NULL
    WHERE id = ANY (p_rows) AND row_part IS NOT NULL;
    GET DIAGNOSTICS rows = ROW_COUNT;
    PERFORM bursar_write_audit('erase', p_subject, p_subject_id::text, p_organisation, p_person, false,
        jsonb_build_object('before', '{}'::jsonb, 'after', jsonb_build_object('parts', actors + rows)), NULL);
    RETURN actors + rows;
END $$;

-- What others read, without somebody: his address, where a value is nothing else, and his name in an object that has
-- his address or id beside it, or where a mail says who invites, made or looks. Values only, looked at one by one: he
-- chose his name himself, and what he called himself ("type", ": {") is what other texts are made of.
CREATE FUNCTION bursar_unnamed(p_said jsonb, p_person app_user, p_placeholder text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = public, pg_temp AS $$
BEGIN
    CASE jsonb_typeof(p_said)
    WHEN 'object' THEN
        RETURN (WITH said AS (SELECT key, value, value #>> '{}' AS text FROM jsonb_each(p_said)),
            his AS (SELECT coalesce(bool_or(text = p_person.id::text OR lower(text) = p_person.email), false) AS is
                FROM said)
            SELECT coalesce(jsonb_object_agg(key, CASE
                WHEN text = p_person.name AND text <> '' AND (key = 'name' AND his.is
                    OR key IN ('inviter', 'created_by', 'operator')) THEN '"erased"'
                ELSE bursar_unnamed(value, p_person, p_placeholder) END), '{}') FROM said, his);
    WHEN 'array' THEN
        RETURN (SELECT coalesce(jsonb_agg(bursar_unnamed(value, p_person, p_placeholder) ORDER BY place), '[]')
            FROM jsonb_array_elements(p_said) WITH ORDINALITY AS listed (value, place));
    WHEN 'string' THEN
        RETURN CASE WHEN lower(p_said #>> '{}') = p_person.email THEN to_jsonb(p_placeholder) ELSE p_said END;
    ELSE
        RETURN p_said;
    END CASE;
END $$;

-- Whether it is worth looking into JSON for somebody.
CREATE FUNCTION bursar_may_name(p_text text, p_person app_user) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    SELECT strpos(lower(p_text), p_person.email) > 0
        OR p_person.name <> '' AND strpos(p_text, to_json(p_person.name)::text) > 0
$$;

-- Forget a person. Twice does nothing more. Linear in what he left; outbox, mail and audit log are read once.
CREATE FUNCTION bursar_erase_user(p_user uuid, p_now timestamptz) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    person app_user;
    placeholder text := 'erased-' || p_user || '@erased.invalid';
BEGIN
    SELECT * INTO STRICT person FROM app_user WHERE id = p_user FOR UPDATE;
    IF person.erased_at IS NOT NULL THEN
        RETURN;
    END IF;
    DELETE FROM session WHERE user_id = p_user;
    DELETE FROM membership WHERE user_id = p_user;
    DELETE FROM recovery_code WHERE user_id = p_user;
    DELETE FROM one_time_token WHERE user_id = p_user OR email = person.email;
    DELETE FROM sign_up WHERE user_id = p_user OR email = person.email;
    DELETE FROM linked_identity WHERE user_id = p_user;
    DELETE FROM idempotent_answer WHERE caller = p_user;
    DELETE FROM data_export_piece WHERE export_id IN
        (SELECT id FROM data_export WHERE user_id = p_user AND organisation_id IS NULL);
    UPDATE data_export SET state = 'expired' WHERE user_id = p_user AND organisation_id IS NULL;
    UPDATE invitation SET revoked_at = p_now
    WHERE email = person.email AND accepted_at IS NULL AND revoked_at IS NULL;
    UPDATE invitation SET email = placeholder WHERE email = person.email;
    UPDATE organisation SET billing_email = NULL WHERE lower(billing_email) = person.email;
    DELETE FROM mail WHERE lower(recipient) = person.email;
    DELETE FROM mail_refusal WHERE recipient = person.email;
    UPDATE outbox SET payload = '{}', handled_at = coalesce(handled_at, p_now)
    WHERE topic = 'mail' AND lower(payload ->> 'to') = person.email;
    UPDATE outbox SET payload = bursar_unnamed(payload, person, placeholder)
    WHERE bursar_may_name(payload::text, person) AND payload <> bursar_unnamed(payload, person, placeholder);
    UPDATE webhook_message SET body = bursar_unnamed(body::jsonb, person, placeholder)::text
    WHERE bursar_may_name(body, person) AND body::jsonb <> bursar_unnamed(body::jsonb, person, placeholder);
    UPDATE app_user SET email = placeholder, name = '', status = 'disabled', password_hash = NULL,
        operator_role = NULL, operator_addresses = NULL, locale = 'en', time_zone = 'UTC', notifications = '{}',
        totp_sealed = NULL, totp_confirmed_at = NULL, erased_at = p_now
    WHERE id = p_user;
    -- Last, for the changes above have entries of their own by now. Before he was signed in he was a visitor.
    PERFORM bursar_erase_audit(
        ARRAY(SELECT id FROM audit_entry WHERE actor_id = p_user
            UNION SELECT id FROM audit_entry WHERE actor_kind = 'visitor' AND (person_id = p_user OR organisation_id IN
                (SELECT organisation_id FROM audit_entry WHERE person_id = p_user AND subject = 'membership'))),
        ARRAY(SELECT id FROM audit_entry WHERE person_id = p_user
            OR row_part IS NOT NULL AND strpos(lower(row_part), lower(to_json(person.email)::text)) > 0),
        'app_user', p_user, NULL, p_user);
END $$;

-- Forget an organisation, and what its members did in its name. Its ledger and its usage stay under its id.
CREATE FUNCTION bursar_erase_organisation(p_organisation uuid, p_now timestamptz) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM 1 FROM organisation WHERE id = p_organisation FOR UPDATE;
    UPDATE api_key SET name = 'erased', active = false, revoked_at = coalesce(revoked_at, p_now),
        allowed_addresses = NULL
    WHERE organisation_id = p_organisation;
    DELETE FROM own_credential WHERE organisation_id = p_organisation;
    DELETE FROM stored_response WHERE organisation_id = p_organisation;
    DELETE FROM invitation WHERE organisation_id = p_organisation;
    DELETE FROM membership WHERE organisation_id = p_organisation;
    DELETE FROM sso_connection WHERE organisation_id = p_organisation;
    DELETE FROM webhook_endpoint WHERE organisation_id = p_organisation;
    DELETE FROM webhook_message WHERE organisation_id = p_organisation;
    DELETE FROM card_fingerprint WHERE organisation_id = p_organisation;
    UPDATE abuse_suspect SET reason = NULL WHERE organisation_id = p_organisation;
    UPDATE viewing SET reason = 'erased' WHERE organisation_id = p_organisation;
    UPDATE project SET name = 'erased ' || id, tags = '{}', archived_at = coalesce(archived_at, p_now)
    WHERE organisation_id = p_organisation;
    UPDATE team SET name = 'erased ' || id, tags = '{}', archived_at = coalesce(archived_at, p_now)
    WHERE organisation_id = p_organisation;
    UPDATE budget SET name = 'erased', active = false WHERE organisation_id = p_organisation;
    UPDATE usage SET end_user = NULL WHERE organisation_id = p_organisation AND end_user IS NOT NULL;
    DELETE FROM data_export_piece WHERE export_id IN
        (SELECT id FROM data_export WHERE organisation_id = p_organisation);
    UPDATE data_export SET state = 'expired' WHERE organisation_id = p_organisation;
    UPDATE outbox SET payload = '{}', handled_at = coalesce(handled_at, p_now)
    WHERE organisation_id = p_organisation;
    UPDATE organisation SET name = 'erased ' || id, billing_email = NULL, status = 'closed'
    WHERE id = p_organisation;
    PERFORM bursar_erase_audit(
        ARRAY(SELECT id FROM audit_entry WHERE organisation_id = p_organisation AND actor_kind = 'member'),
        ARRAY(SELECT id FROM audit_entry WHERE organisation_id = p_organisation),
        'organisation', p_organisation, p_organisation, NULL);
END $$;

REVOKE ALL ON FUNCTION bursar_erase_audit, bursar_unnamed, bursar_may_name, bursar_erase_user,
    bursar_erase_organisation FROM public;
GRANT EXECUTE ON FUNCTION bursar_erase_user, bursar_erase_organisation TO bursar_worker;

-- What archives are made of (bursar.features.data_rights.contents), besides what the worker reads anyway.
GRANT SELECT (id, organisation_id, name, issuer, client_id, role_claim, role_map, default_role, vouches_for_email,
    active, created_at) ON sso_connection TO bursar_worker;
GRANT SELECT ON sso_domain, webhook_endpoint, viewing, team, project, member_limit, budget, credit_lot, membership,
    organisation TO bursar_worker;
