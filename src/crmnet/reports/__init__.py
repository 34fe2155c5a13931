"""Writers that several commands share: tables, saved figures, wording of numbers."""
