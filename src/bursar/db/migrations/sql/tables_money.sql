-- The books. Amounts are integers at the asset's scale (bursar.core.money.ASSET_SCALE).
-- Sign of an entry: positive credits the account. Top-up: wallet +x, cash -x. Usage: wallet -b, receivable
-- -(sale - b), revenue +sale. So wallet.posted = sum(wallet entries) and wallet.owed = -sum(receivable entries).

CREATE TABLE ledger_account (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asset text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('wallet', 'receivable', 'revenue', 'provider_cost', 'provider_payable',
        'cash', 'promo', 'breakage', 'tax', 'rounding', 'fx', 'dispute')),
    owner uuid,  -- wallet id for wallet and receivable, provider id for provider_*, else null
    organisation_id uuid REFERENCES organisation (id),
    CONSTRAINT ledger_account_key UNIQUE NULLS NOT DISTINCT (asset, kind, owner),
    CONSTRAINT ledger_account_asset_key UNIQUE (id, asset),
    CHECK ((kind IN ('wallet', 'receivable')) = (organisation_id IS NOT NULL))
);
CREATE INDEX ledger_account_organisation_id_idx ON ledger_account (organisation_id);

CREATE TABLE wallet (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    asset text NOT NULL,
    posted bigint NOT NULL DEFAULT 0 CHECK (posted >= 0),
    held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    owed bigint NOT NULL DEFAULT 0 CHECK (owed >= 0),
    overrun bigint NOT NULL DEFAULT 0 CHECK (overrun >= 0),
    credit_limit bigint NOT NULL DEFAULT 0 CHECK (credit_limit >= 0),
    created_at timestamptz NOT NULL,
    CONSTRAINT wallet_organisation_asset_key UNIQUE (organisation_id, asset),
    CONSTRAINT wallet_funds_cover_promises CHECK (posted + credit_limit + overrun - owed - held >= 0)
) WITH (fillfactor = 50);

-- kind 'usage': one posting of a wallet; 'usage_revision': a revision that lowered a sale already posted;
-- 'usage_refund': a sale given back by decision; 'credit_limit': no entries, remembers the change.
-- (kind, source) makes every write idempotent; content_hash tells a repeat from a conflict.
-- amount: change of (posted - owed) of the wallet; balance_after: that balance when this was written.
CREATE TABLE ledger_transaction (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('top_up', 'grant', 'top_up_refund', 'usage', 'usage_revision',
        'usage_refund', 'expiry', 'credit_limit')),
    source text NOT NULL,
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    wallet_id uuid NOT NULL REFERENCES wallet (id),
    asset text NOT NULL,
    amount bigint NOT NULL,
    balance_after bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    description text NOT NULL DEFAULT '',
    reference text,
    content_hash text,
    corrects bigint REFERENCES ledger_transaction (id),
    request_id uuid,
    attempt smallint,
    CONSTRAINT ledger_transaction_source_key UNIQUE (kind, source),
    CONSTRAINT ledger_transaction_organisation_key UNIQUE (id, organisation_id)
);
CREATE INDEX ledger_transaction_wallet_id_idx ON ledger_transaction (wallet_id, id);
CREATE INDEX ledger_transaction_request_id_idx ON ledger_transaction (request_id) WHERE request_id IS NOT NULL;

-- The composite keys make it impossible that an entry carries another organisation than its transaction
-- or another asset than its account.
CREATE TABLE ledger_entry (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id bigint NOT NULL,
    account_id bigint NOT NULL,
    organisation_id uuid NOT NULL,
    asset text NOT NULL,
    amount bigint NOT NULL CHECK (amount <> 0),
    CONSTRAINT ledger_entry_transaction_fkey FOREIGN KEY (transaction_id, organisation_id)
        REFERENCES ledger_transaction (id, organisation_id),
    CONSTRAINT ledger_entry_account_fkey FOREIGN KEY (account_id, asset) REFERENCES ledger_account (id, asset)
);
CREATE INDEX ledger_entry_transaction_id_idx ON ledger_entry (transaction_id);
CREATE INDEX ledger_entry_account_id_idx ON ledger_entry (account_id, id);

-- scope_class: null spends on anything, else only on that class. Burn order: scoped first, then priority,
-- soonest expiry, cost basis, age. is_open exists so that the partial index does not see every burn (HOT).
CREATE TABLE credit_lot (
    id uuid PRIMARY KEY,
    wallet_id uuid NOT NULL REFERENCES wallet (id),
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    transaction_id bigint NOT NULL REFERENCES ledger_transaction (id),
    kind text NOT NULL CHECK (kind IN ('purchase', 'cycle', 'promo', 'refund', 'manual')),
    scope_class text,
    priority smallint NOT NULL DEFAULT 100,
    effective_at timestamptz NOT NULL,
    expires_at timestamptz,
    cost_basis numeric(38, 18) NOT NULL DEFAULT 0 CHECK (cost_basis >= 0),
    created_at timestamptz NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    original bigint NOT NULL CHECK (original > 0),
    remaining bigint NOT NULL CHECK (remaining >= 0),
    is_open boolean GENERATED ALWAYS AS (remaining > 0) STORED,
    CHECK (remaining <= original),
    CHECK (expires_at > effective_at)
) WITH (fillfactor = 70);
CREATE INDEX credit_lot_open_idx ON credit_lot (wallet_id) WHERE is_open;
CREATE INDEX credit_lot_wallet_id_idx ON credit_lot (wallet_id, seq);
CREATE INDEX credit_lot_expires_at_idx ON credit_lot (expires_at) WHERE is_open AND expires_at IS NOT NULL;

-- amount > 0: the transaction burned it from the lot; < 0: returned it, and returns_of names whose burn.
CREATE TABLE lot_consumption (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lot_id uuid NOT NULL REFERENCES credit_lot (id),
    transaction_id bigint NOT NULL REFERENCES ledger_transaction (id),
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    amount bigint NOT NULL CHECK (amount <> 0),
    returns_of bigint REFERENCES ledger_transaction (id),
    CHECK ((amount < 0) = (returns_of IS NOT NULL))
);
CREATE INDEX lot_consumption_lot_id_idx ON lot_consumption (lot_id);
CREATE INDEX lot_consumption_transaction_id_idx ON lot_consumption (transaction_id);
CREATE INDEX lot_consumption_returns_of_idx ON lot_consumption (returns_of) WHERE returns_of IS NOT NULL;

CREATE TABLE process (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    host text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'alive' CHECK (state IN ('alive', 'closed')),
    started_at timestamptz NOT NULL,
    last_beat_at timestamptz NOT NULL,
    closed_at timestamptz
) WITH (fillfactor = 50);

-- kind 'lease': granted, spent (flushed sales) and burned (posted sales) only grow, but for a give, which
-- lowers granted. amount is what wallet.held counts: active greatest(granted - burned, 0), closing at most
-- greatest(spent - burned, 0), closed 0. op_*: the last numbered operation and the answer it got.
-- No CHECK that spent <= granted: spending is a fact.
CREATE TABLE hold (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    wallet_id uuid NOT NULL REFERENCES wallet (id),
    kind text NOT NULL CHECK (kind IN ('request', 'job', 'lease')),
    scope_class text NOT NULL,
    process_id uuid REFERENCES process (id),
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'closing', 'closed')),
    amount bigint NOT NULL CHECK (amount >= 0),
    granted bigint NOT NULL DEFAULT 0 CHECK (granted >= 0),
    spent bigint NOT NULL DEFAULT 0 CHECK (spent >= 0),
    burned bigint NOT NULL DEFAULT 0 CHECK (burned >= 0),
    op bigint NOT NULL DEFAULT 0,
    op_granted bigint NOT NULL DEFAULT 0,
    op_spendable bigint NOT NULL DEFAULT 0,
    op_state text NOT NULL DEFAULT 'active',
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    CHECK (state <> 'closed' OR amount = 0),
    CHECK ((kind = 'lease') = (process_id IS NOT NULL))
) WITH (fillfactor = 50);
CREATE INDEX hold_wallet_open_idx ON hold (wallet_id) WHERE state <> 'closed';
CREATE INDEX hold_lease_idx ON hold (process_id, wallet_id, scope_class);
CREATE UNIQUE INDEX hold_lease_active_key ON hold (process_id, wallet_id, scope_class) WHERE state = 'active';

CREATE TABLE budget (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    api_key_id uuid REFERENCES api_key (id),
    name text NOT NULL,
    asset text NOT NULL,
    amount bigint NOT NULL CHECK (amount >= 0),
    period text NOT NULL CHECK (period IN ('once', 'day', 'week', 'month')),
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL
);
CREATE INDEX budget_organisation_id_idx ON budget (organisation_id);
CREATE INDEX budget_api_key_id_idx ON budget (api_key_id);

-- What a process has taken from a budget's counter of one period; not a hold, never in wallet.held.
CREATE TABLE budget_slice (
    budget_id uuid NOT NULL REFERENCES budget (id),
    period_start timestamptz NOT NULL,
    process_id uuid NOT NULL REFERENCES process (id),
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    granted bigint NOT NULL CHECK (granted >= 0),
    spent bigint NOT NULL DEFAULT 0 CHECK (spent >= 0),
    PRIMARY KEY (budget_id, period_start, process_id)
);
CREATE INDEX budget_slice_process_id_idx ON budget_slice (process_id);
