"""What the caller is told, in his language: English unless `Accept-Language` prefers Korean or Chinese.

Programs branch on a refusal's `code`, which is the same in every language. Whoever refuses writes one
English sentence and knows nothing of this module; at the edge, once there is something to refuse, the
sentence is recognised in the catalogue and said again with the same values. The first sentence of a code has
no parameters and stands for all of it: where the catalogue has no better one, it is followed by the English
original, so that nothing is lost. A code the catalogue does not know (a provider's own) stays English.
"""

from typing import Final

from bursar.core.messages.abuse import ABUSE
from bursar.core.messages.access import ACCESS
from bursar.core.messages.accounts import ACCOUNTS
from bursar.core.messages.audit import AUDIT
from bursar.core.messages.calls import CALLS
from bursar.core.messages.control import CONTROL
from bursar.core.messages.limits import LIMITS
from bursar.core.messages.mail import MAIL
from bursar.core.messages.members import MEMBERS
from bursar.core.messages.own_keys import OWN_KEYS
from bursar.core.messages.projects import PROJECTS
from bursar.core.messages.reader import language_of
from bursar.core.messages.sign_in import SIGN_IN
from bursar.core.messages.titles import TITLES
from bursar.core.messages.webhooks import WEBHOOKS
from bursar.core.messages.words import Language, Words

__all__ = ["CATALOGUE", "Language", "Words", "language_of", "title", "translated"]

_PARTS: Final = (
    ABUSE,
    ACCESS,
    ACCOUNTS,
    AUDIT,
    CALLS,
    CONTROL,
    LIMITS,
    MAIL,
    MEMBERS,
    OWN_KEYS,
    PROJECTS,
    WEBHOOKS,
    SIGN_IN,
)
CATALOGUE: Final = {
    code: tuple(words for part in _PARTS for words in part.get(code, ()))
    for code in sorted({code for part in _PARTS for code in part})
}

# A longer sentence quotes somebody else; ours are shorter even with the longest model name.
RECOGNISED_CHARACTERS_MAX: Final = 600


def translated(code: str, english: str, language: Language) -> str:
    """The sentence in `language`, or what stands for the code followed by the sentence as it is."""
    sentences = CATALOGUE.get(code)
    if language == "en" or sentences is None:
        return english
    if len(english) <= RECOGNISED_CHARACTERS_MAX:
        for sentence in sentences:
            retold = sentence.retold(english, language)
            if retold is not None:
                return retold
    return f"{sentences[0].in_language(language)} ({english})"


def title(status: int, english: str, language: Language) -> str:
    """The name of an HTTP status."""
    words = TITLES.get(status)
    return english if words is None or language == "en" else words.in_language(language)
