"""Files that people write: YAML read strictly, every complaint with its line, and files written whole."""
