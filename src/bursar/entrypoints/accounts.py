"""What accounts need of the settings."""

from bursar.adapters.captcha import Captcha
from bursar.adapters.captcha.siteverify import ADDRESSES, SiteVerify
from bursar.rest.control import SignUpPolicy
from bursar.rest.passwords import Passwords, PasswordWork
from bursar.settings import Settings, networks_in


def sign_up_policy(settings: Settings) -> SignUpPolicy:
    refused = (one.lower().lstrip("@.") for one in networks_in(settings.sign_up_refused_domains))
    return SignUpPolicy(
        is_open=settings.sign_up_open,
        terms_version=settings.terms_version,
        privacy_version=settings.privacy_version,
        currency=settings.sign_up_currency,
        trial_credit=settings.trial_credit,
        per_hour_per_network=settings.sign_ups_per_hour_per_network,
        per_hour_per_domain=settings.sign_ups_per_hour_per_domain,
        refused_domains=frozenset(refused),
        captcha_site_key=settings.captcha_site_key,
    )


def passwords(settings: Settings) -> Passwords:
    return Passwords(PasswordWork(memory_kib=settings.password_memory_kib, passes=settings.password_passes))


def captcha(settings: Settings) -> Captcha | None:
    """None: nobody is asked."""
    if settings.captcha == "none":
        return None
    return SiteVerify(ADDRESSES[settings.captcha], settings.captcha_secret.get_secret_value())
