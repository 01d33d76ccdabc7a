"""The command line: its words, its commands, and the recipes that it reads."""
