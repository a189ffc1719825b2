from hypothesis import settings

# How long an example takes says more about the machine's other work than about this code.
settings.register_profile("bursar", deadline=None)
settings.load_profile("bursar")
