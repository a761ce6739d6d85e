"""The doctor: looks at everything an agent stands on, and says what is wrong and what to do. It only reads."""
