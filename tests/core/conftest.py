from hypothesis import settings

# Examples are not races: a busy machine must not fail a property.
settings.register_profile("bursar", deadline=None)
settings.load_profile("bursar")
