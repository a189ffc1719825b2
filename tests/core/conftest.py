from hypothesis import settings

# Examples are not races: a busy machine must not fail a property.
settings.register_profile("bursar", deadline=None, max_examples=60)
settings.load_profile("bursar")
