-- Of a mail the log tells what an operator did to it; what the worker does is in the mail's own row.
CREATE TRIGGER audited AFTER UPDATE ON mail FOR EACH ROW WHEN (current_user = 'bursar_operator')
    EXECUTE FUNCTION bursar_audit_row('{id}', '{sealed}', '{recipient,intent,said}', '{}', 'false');
