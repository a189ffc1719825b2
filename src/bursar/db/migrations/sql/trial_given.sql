-- Addresses that were given trial credit, so that who deletes his account or moves it does not get it again.
-- address_hash: HMAC-SHA-256 under a key made of the installation's secret. It names nobody to who has the table
-- alone, and so outlives whom it is of.
CREATE TABLE trial_given (
    address_hash bytea PRIMARY KEY CHECK (octet_length(address_hash) = 32),
    given_at timestamptz NOT NULL
);

-- Nobody reads it: that an address is there already shows in that nothing is inserted.
GRANT INSERT ON trial_given TO bursar_accounts;
