import os

from hypothesis import settings

# How long an example takes says more about the machine's other work than about this code.
SOAK = int(os.environ.get("BURSAR_TEST_SOAK", "1"))
settings.register_profile("bursar", deadline=None, max_examples=40 * SOAK)
settings.load_profile("bursar")
