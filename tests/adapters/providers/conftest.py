from hypothesis import settings

# How long an example takes says more about the machine's other work than about this code.
settings.register_profile("bursar", deadline=None, max_examples=60)
settings.load_profile("bursar")
