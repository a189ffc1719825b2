-- Signing in elsewhere: the operator's further issuers, organisations' single sign-on, and who is linked to whom.
-- sealed: the client's secret, see bursar.db.secrets; read by bursar_accounts alone.

-- An issuer is never changed: what is linked is linked to what it calls people.
CREATE TABLE identity_provider (
    id uuid PRIMARY KEY,
    slug text NOT NULL CHECK (slug ~ '^[a-z][a-z0-9-]{1,31}$'),
    name text NOT NULL,
    issuer text NOT NULL,
    client_id text NOT NULL,
    sealed bytea NOT NULL,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL,
    CONSTRAINT identity_provider_slug_key UNIQUE (slug)
);

-- role_map: {"value of the claim": "role"}; default_role: of who has no such value, NULL lets him not in.
-- vouches_for_email: this issuer's addresses count as verified when it does not say (it lets nobody choose one).
CREATE TABLE sso_connection (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    name text NOT NULL,
    issuer text NOT NULL,
    client_id text NOT NULL,
    sealed bytea NOT NULL,
    role_claim text NOT NULL DEFAULT '',
    role_map jsonb NOT NULL DEFAULT '{}' CHECK (NOT jsonb_path_exists(role_map, '$.* ? (@ == "owner")')),
    default_role text CHECK (default_role IN ('admin', 'billing', 'developer', 'viewer')),
    vouches_for_email boolean NOT NULL DEFAULT false,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL,
    CONSTRAINT sso_connection_organisation_id_key UNIQUE (organisation_id, id)
);

-- challenge: what a TXT record of the domain must say. captures: its people sign in there and nowhere else.
CREATE TABLE sso_domain (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    connection_id uuid NOT NULL,
    domain text NOT NULL CHECK (domain = lower(domain)),
    challenge text NOT NULL,
    captures boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    verified_at timestamptz,
    CONSTRAINT sso_domain_organisation_id_key UNIQUE (organisation_id, domain),
    CONSTRAINT sso_domain_connection_fkey FOREIGN KEY (organisation_id, connection_id)
        REFERENCES sso_connection (organisation_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX sso_domain_verified_key ON sso_domain (domain) WHERE verified_at IS NOT NULL;
CREATE INDEX sso_domain_connection_id_idx ON sso_domain (connection_id);

-- source: 'google', 'provider:<id>', 'sso:<id>'. subject: what that source calls the person, for ever.
CREATE TABLE linked_identity (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES app_user (id),
    source text NOT NULL,
    subject text NOT NULL,
    email text NOT NULL,
    created_at timestamptz NOT NULL,
    used_at timestamptz NOT NULL,
    CONSTRAINT linked_identity_source_key UNIQUE (source, subject)
);
CREATE INDEX linked_identity_user_id_idx ON linked_identity (user_id);

-- A source that is gone links nobody.
CREATE FUNCTION bursar_forget_source() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM linked_identity WHERE source = tg_argv[0] || ':' || old.id;
    RETURN NULL;
END $$;
CREATE TRIGGER forget_source AFTER DELETE ON identity_provider
    FOR EACH ROW EXECUTE FUNCTION bursar_forget_source('provider');
CREATE TRIGGER forget_source AFTER DELETE ON sso_connection
    FOR EACH ROW EXECUTE FUNCTION bursar_forget_source('sso');
REVOKE ALL ON FUNCTION bursar_forget_source FROM public;

SELECT bursar_make_tenant('sso_connection'), bursar_make_tenant('sso_domain'), bursar_make_personal('linked_identity');
SELECT bursar_audit('identity_provider'), bursar_audit('sso_connection'), bursar_audit('sso_domain'),
    bursar_audit('linked_identity', personal_columns => '{subject}', ignored_columns => '{used_at}');

GRANT SELECT ON identity_provider, sso_connection, sso_domain TO bursar_accounts;
GRANT SELECT, INSERT, UPDATE, DELETE ON linked_identity TO bursar_accounts;

GRANT SELECT (id, slug, name, issuer, client_id, active, created_at) ON identity_provider TO bursar_operator;
GRANT INSERT, DELETE, UPDATE (name, client_id, sealed, active) ON identity_provider TO bursar_operator;

GRANT SELECT (id, organisation_id, name, issuer, client_id, role_claim, role_map, default_role, vouches_for_email,
    active, created_at) ON sso_connection TO bursar_api;
GRANT INSERT, DELETE, UPDATE (name, client_id, sealed, role_claim, role_map, default_role, vouches_for_email, active)
    ON sso_connection TO bursar_api;
GRANT SELECT, INSERT, DELETE, UPDATE (connection_id, captures, verified_at) ON sso_domain TO bursar_api;
GRANT SELECT, DELETE ON linked_identity TO bursar_api;
-- Data rights: a person's links are exported, and erased with him.
GRANT SELECT, DELETE ON linked_identity TO bursar_worker;
