"""What people and organisations may ask of their data: a copy of it, and that it goes.

Both are asked for here and carried out by the worker: a copy as one archive that is kept for some days, the
erasure after a time in which it can be taken back.
"""
