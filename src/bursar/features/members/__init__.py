"""Who belongs to an organisation and as what; who is asked to.

* An organisation has no members or exactly one owner; the database refuses any other state.
* Whoever changes members holds the organisation's row and is looked up again, so that of two changes at once
  the second is judged by what the first left.
* An invitation is for one address, works once, and gives no more than its giver has when it is accepted.
"""
