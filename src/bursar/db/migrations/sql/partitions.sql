-- Months of usage. A month is the UTC month of started_at.

-- Makes the partition of p_month (its first day) unless it exists or was frozen. True when made. Attaching
-- instead of creating in place keeps inserts into other months going.
CREATE FUNCTION bursar_make_partition(p_month date) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    partition_name text := 'usage_' || to_char(p_month, 'YYYY_MM');
    first_moment timestamptz := p_month::timestamp AT TIME ZONE 'UTC';
    end_moment timestamptz := (p_month + interval '1 month')::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF p_month <> date_trunc('month', p_month::timestamp)::date THEN
        RAISE EXCEPTION '% is not the first day of a month', p_month USING ERRCODE = 'BU003';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('bursar_make_partition', 0));
    IF to_regclass(partition_name) IS NOT NULL OR EXISTS (SELECT FROM usage_month WHERE month = p_month) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE usage INCLUDING ALL) WITH (fillfactor = 50)', partition_name);
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', partition_name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', partition_name);
    EXECUTE format('CREATE POLICY owner_only ON %I TO bursar_owner USING (true) WITH CHECK (true)',
        partition_name);
    EXECUTE format('ALTER TABLE usage ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        partition_name, first_moment, end_moment);
    RETURN true;
END $$;




-- Freeze a month: its totals go to usage_month, its partition goes. Refused while a row is unposted (BU013) or the
-- month is not over (BU003). Answers the number of rows; 0 when there was no such partition. One scan of it.
CREATE FUNCTION bursar_freeze_month(p_month date, p_now timestamptz) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    partition_name text := 'usage_' || to_char(p_month, 'YYYY_MM');
    frozen bigint;
    unposted bigint;
BEGIN
    IF p_now < (p_month + interval '1 month')::timestamp AT TIME ZONE 'UTC' THEN
        RAISE EXCEPTION 'month % is not over', p_month USING ERRCODE = 'BU003';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('bursar_make_partition', 0));
    IF to_regclass(partition_name) IS NULL THEN
        RETURN 0;
    END IF;
    EXECUTE format('LOCK TABLE %I IN SHARE MODE', partition_name);
    EXECUTE format('SELECT count(*), count(*) FILTER (WHERE posting IS NULL) FROM %I', partition_name)
        INTO frozen, unposted;
    IF unposted > 0 THEN
        RAISE EXCEPTION 'month % has % unposted rows', p_month, unposted USING ERRCODE = 'BU013';
    END IF;
    EXECUTE format('INSERT INTO usage_month (month, organisation_id, asset, rows, sale, cost)
        SELECT $1, organisation_id, asset, count(*), sum(sale), sum(cost) FROM %I
        GROUP BY organisation_id, asset', partition_name) USING p_month;
    EXECUTE format('DROP TABLE %I', partition_name);
    RETURN frozen;
END $$;
