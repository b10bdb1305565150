"""Files that people write: YAML read strictly, every problem reported with its line, and files written whole."""
