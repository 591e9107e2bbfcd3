"""Pure cores of the modules in library/: parsing, planning, judging; no module object, no clock."""
