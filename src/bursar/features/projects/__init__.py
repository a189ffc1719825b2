"""Teams, and projects of teams: what keys belong to, and what usage is added up by.

* A key is in one project, a project in one team. Usage rows name all three as they were when the request was
  admitted: a key or a project that moves takes nothing of its past along.
* A key that is made without naming a project goes to the project `Default`, a project without a team to the
  team `Default`; both are made when first needed. Keys of before are in none until somebody moves them.
* Tags are for whoever adds up costs; nothing is decided by them.
* Limits and budgets of projects and teams are those features' own.
* What is archived gets nothing new and is not in use: a project without usable keys, a team without projects.
"""
