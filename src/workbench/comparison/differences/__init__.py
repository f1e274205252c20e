"""Two texts, or two replies, word by word."""
