-- Nobody calls anything unless named here.
DO $revoke$
DECLARE
    one regprocedure;
BEGIN
    FOR one IN SELECT p.oid::regprocedure FROM pg_proc AS p
        WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'bursar\_%' LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM public', one);
    END LOOP;
END
$revoke$;

GRANT EXECUTE ON FUNCTION bursar_open_process, bursar_beat, bursar_take, bursar_give, bursar_flush
    TO bursar_gateway, bursar_worker;
GRANT EXECUTE ON FUNCTION bursar_close_process TO bursar_gateway, bursar_worker;
GRANT EXECUTE ON FUNCTION bursar_post, bursar_silent_processes, bursar_expired_wallets, bursar_expire,
    bursar_make_partition, bursar_freeze_month TO bursar_worker;
GRANT EXECUTE ON FUNCTION bursar_top_up, bursar_refund_usage, bursar_refund_top_up, bursar_set_credit_limit
    TO bursar_operator, bursar_worker;
-- Pure arithmetic, used by functions that run as their caller.
GRANT EXECUTE ON FUNCTION bursar_overrun, bursar_time_of TO bursar_api, bursar_operator, bursar_gateway, bursar_worker;
GRANT EXECUTE ON FUNCTION bursar_grantable, bursar_cover TO bursar_operator, bursar_worker, bursar_api;
