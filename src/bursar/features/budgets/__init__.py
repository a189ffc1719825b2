"""Budgets and quotas: what may be used by the day, week or month, or for good (UTC).

* A budget counts money, requests or tokens; of an organisation, of one of its keys (all of it, only some
  models, or one provider), of the keys of a member, a project or a team, or of a provider's credential (by
  what it costs us).
* It stops what it does not cover. It is exact over all gateways, and near its end it is handed out request by
  request, so that all of it can be used.
* A period is that of a request's beginning. A new one starts with nothing used; nothing is carried over.
* A gateway that crashes leaves what it had taken counted as used: at most a twentieth of what was left.
* Whoever manages budgets, and the member whose budget it is, are told once per period when 80 and when 95 %
  of it are used, by mail and by the webhook event `budget.alert`.
* A budget is never deleted, only switched off: what it counted stays.
"""
