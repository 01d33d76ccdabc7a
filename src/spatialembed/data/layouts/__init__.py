"""The layouts of data sets, one file each, and what is said of those that are not read."""
