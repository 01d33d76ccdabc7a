"""What is printed while a command works: lines, warnings, progress. Loads no torch."""
