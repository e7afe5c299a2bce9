"""The fields of a job: ``table`` has a row for each, ``row`` says what is in one."""
