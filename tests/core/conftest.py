import os

from hypothesis import settings

# Examples are not races: a busy machine must not fail a property.
SOAK = int(os.environ.get("BURSAR_TEST_SOAK", "1"))
settings.register_profile("bursar", deadline=None, max_examples=40 * SOAK)
settings.load_profile("bursar")
