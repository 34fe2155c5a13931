"""Writers that several commands share: tables, figures, numbers as text, the page of a data set.

They take plain values; the tables and pages of a single command stand beside that command.
"""
