"""Limits by the minute and at once, and where a key may be used from.

* An organisation, a key and a provider's credential each have their own; a key's are also narrowed to models
  (patterns) and to providers within it. All that apply to a request must let it through.
* So do keys that belong together: those a member made (as far as they outlive his membership, they stay his),
  those of a project, and those of a team's projects.
* What is set is set as a whole: what a body leaves out is not limited.
* Gateways act on a change within a second. What is limited by the day or longer is a budget.
* What is used by the minute is known where it is counted: in Redis, if there is one, else in each gateway.
"""
