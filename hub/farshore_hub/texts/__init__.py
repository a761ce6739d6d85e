"""Values as text: durations and sizes, exact JSON, tables for terminals."""
