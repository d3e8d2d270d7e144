"""Names that clients, operators and other systems rely on, as published, compared with what the code produces now.

`published/` holds one text file per subject, one promise per line. The lines contain names, types, defaults and status
codes but no prose, so that descriptions and help texts can be reworded freely.

`python -m tests.contract` adds what is new. It refuses to drop a line unless `--accept` is given.
"""
