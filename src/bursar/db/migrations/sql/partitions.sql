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



