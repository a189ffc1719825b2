"""The audit log to read: searched and exported, by an organisation for itself and by operators for all."""
