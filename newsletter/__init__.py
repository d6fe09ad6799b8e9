"""An email newsletter service for a newsroom.

Editors assemble a weekly issue, readers subscribe and leave through a link,
scheduled jobs send it by themselves. docs/language.md holds the words that the
code uses; the rooms below are nouns, the modules inside them verbs, and imports
run one way only (see ``[tool.importlinter]`` in pyproject.toml).
"""

__version__ = "0.1.0"
