"""What accounts look like from outside."""

from datetime import datetime
from functools import cache
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, Field, SecretStr, StringConstraints

from bursar.core.messages import Language
from bursar.core.permissions import MemberRole, OperatorRole
from bursar.rest.fields import Body, Email, Name, Password, printable_secret
from bursar.rest.proofs import Proof

SECRET_LENGTH_MAX = 200
CAPTCHA_LENGTH_MAX = 8_192
VERSION_LENGTH_MAX = 50
CHOICES_MAX = 50

TokensIn = Literal["cookies", "body"]


@cache
def time_zones() -> frozenset[str]:
    """Looked up on disk, so once."""
    return frozenset(available_timezones())


def known_zone(name: str) -> str:
    if name not in time_zones():
        raise ValueError("must be a time zone such as Asia/Seoul")
    return name


Token = Annotated[
    SecretStr, Field(min_length=1, max_length=SECRET_LENGTH_MAX), AfterValidator(printable_secret)
]
Code = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=6, max_length=40, pattern=r"^[A-Za-z0-9 -]+$"),
    Field(description="Of the authenticator, or a recovery code.", examples=["123456"]),
]
TimeZone = Annotated[str, StringConstraints(max_length=100), AfterValidator(known_zone)]
Version = Annotated[str, StringConstraints(min_length=1, max_length=VERSION_LENGTH_MAX)]
Choice = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,50}$")]
CaptchaResponse = Annotated[
    str,
    StringConstraints(max_length=CAPTCHA_LENGTH_MAX),
    Field(description="What the page got for the captcha, where `GET /auth/options` names one."),
]
KeptIn = Annotated[
    TokensIn,
    Field(description="`cookies`: for a browser, out of reach of scripts. `body`: for a program."),
]


class NewAccount(Body):
    email: Email
    password: Password
    organisation_name: Name | None = Field(
        default=None, description="Company. Absent: none is opened, for who was invited to another's."
    )
    name: Name | None = None
    terms_version: Version = Field(description="The one accepted: see `GET /auth/options`.")
    privacy_version: Version
    locale: Language | None = Field(default=None, description="Absent: what `Accept-Language` prefers.")
    time_zone: TimeZone = "UTC"
    captcha: CaptchaResponse = ""


class EmailAsked(Body):
    email: Email
    captcha: CaptchaResponse = ""


class TokenSent(Body):
    token: Token = Field(description="The end of the link, after `#token=`.")


class SignUpProof(TokenSent):
    """The link proves the address, the password which of its sign-ups is meant."""

    password: Password = Field(description="The one of the sign-up.")


class NewPassword(TokenSent):
    password: Password


class Credentials(Body):
    email: Email
    password: Password
    code: Code | None = Field(default=None, description="For who has a second factor.")
    tokens_in: KeptIn = "cookies"


class RefreshAsked(Body):
    refresh_token: Token | None = Field(default=None, description="Absent: the one in the cookie.")


class MailOnItsWay(BaseModel):
    """The same answer whether there is such an account or not."""

    status: Literal["mail_on_its_way"] = "mail_on_its_way"


class Done(BaseModel):
    status: Literal["done"] = "done"


class StarterKey(BaseModel):
    id: UUID
    secret: str = Field(description="The key itself. Shown this once; only its hash is kept.")


class Verified(BaseModel):
    """The account is open: sign in."""

    user_id: UUID
    organisation_id: UUID | None
    key: StarterKey | None


class SignedIn(BaseModel):
    """Tokens are null when they went into cookies."""

    user_id: UUID
    session_id: UUID
    access_token: str | None
    access_expires_at: datetime
    refresh_token: str | None
    refresh_expires_at: datetime
    csrf_token: str = Field(
        description="A browser sends it back as `X-CSRF-Token` with every change; also in a cookie."
    )


class CaptchaShown(BaseModel):
    site_key: str


class SignUpOptions(BaseModel):
    """What a sign-up page needs to know."""

    sign_up_open: bool
    terms_version: str
    privacy_version: str
    captcha: CaptchaShown | None


class Membership(BaseModel):
    organisation_id: UUID
    organisation_name: str
    role: MemberRole


class Person(BaseModel):
    id: UUID
    email: str
    name: str
    locale: Language
    time_zone: str
    notifications: dict[str, bool] = Field(description="Kinds of mail turned off or on; absent: on.")
    operator_role: OperatorRole | None
    two_factor: bool = Field(description="A second factor is set up.")
    recovery_codes_left: int
    terms_version: str | None = Field(description="The one last accepted.")
    privacy_version: str | None
    accepted_at: datetime | None
    terms_current: bool = Field(description="What was accepted is what is in force.")
    created_at: datetime
    memberships: list[Membership]


class PersonChange(Body):
    """Only what is given changes."""

    name: Name | None = None
    locale: Language | None = None
    time_zone: TimeZone | None = None
    notifications: Annotated[dict[Choice, bool], Field(max_length=CHOICES_MAX)] | None = None


class TermsAccepted(Body):
    terms_version: Version
    privacy_version: Version


class PasswordChange(Proof):
    password: Password


class EmailChange(Proof):
    email: Email


class ProofAndCode(Proof):
    code: Code


class FactorConfirmed(Body):
    code: Code
    tokens_in: KeptIn = "cookies"


class NewFactor(BaseModel):
    """For the authenticator. Not in force until a code of it was sent back."""

    secret: str = Field(description="To type where nothing can be scanned.")
    uri: str = Field(description="`otpauth://` for the authenticator.")
    qr_svg: str = Field(description="The same as a QR code: one SVG element.")


class RecoveryCodes(BaseModel):
    recovery_codes: list[str] = Field(description="Each opens once. Shown this once; keep them.")


class FactorOn(RecoveryCodes):
    """The second factor is in force; all sign-ins before ended, and this one goes on with new tokens."""

    sign_in: SignedIn


class Session(BaseModel):
    id: UUID
    user_agent: str
    address: str
    created_at: datetime
    used_at: datetime = Field(description="When its access token was last renewed.")
    expires_at: datetime
    two_factor: bool
    current: bool = Field(description="The one that asks.")


class Sessions(BaseModel):
    items: list[Session] = Field(description="Open ones, newest first.")
