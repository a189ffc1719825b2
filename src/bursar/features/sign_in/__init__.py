"""Signing in elsewhere: Google, GitHub, Discord, further issuers, organisations' single sign-on.

What holds always (docs/adr/0023-identities-elsewhere.md):

* A person is who a source's unchanging subject is linked to; an address links at most once, and only when it
  is verified there and here.
* A source that an organisation named speaks for that organisation's verified domains and for nobody else.
* What is to come back is bound to the browser that left, by a sealed cookie of ten minutes.
"""
