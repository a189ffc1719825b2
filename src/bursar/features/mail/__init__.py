"""Mail, from the event that asks for it to the server that takes it.

1. A feature asks in the transaction of its cause (`rest.mails.ask_for_mail`): an event in the outbox.
2. The worker takes the event in: one row of `mail` per intent, its values sealed, nothing sent (`intake`).
3. A round claims a row, sends it outside any transaction, and records the outcome (`sending`).

At most one copy of a mail is accepted by a server per intent, unless the acceptance does not reach our
commit: the process dies, or the connection breaks, between the two. The mail is then sent again with the same
Message-ID, by which the second copy can be recognised.
"""
